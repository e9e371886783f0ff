"""The committed list of documented things is what the documents say."""

from __future__ import annotations

import re

import pytest
from contracts.aws.document import ERRORS, FIELDS, SHARED

needs_documents = pytest.mark.skipif(not SHARED.is_dir(), reason="the documents are not beside this checkout")


@needs_documents
@pytest.mark.parametrize("name", ["aws.en.md", "aws.zh.md"])
def test_fields_are_the_rows_of_both_tables(name: str) -> None:
    """Every row of the parameter tables of either language is in the list, and nothing else but BoundingBox's four."""
    rows = re.findall(r"^\| ?(\w+)\s*\|\s*\*\w+\*\s*\|", (SHARED / name).read_text("utf-8"), re.MULTILINE)
    assert rows == [field for field in FIELDS if "." not in field]


@needs_documents
@pytest.mark.parametrize("name", ["aws.en.md", "aws.zh.md"])
def test_bounding_box_has_the_members_of_the_example(name: str) -> None:
    """The example's BoundingBox has the four members of the list, in that order."""
    example = (SHARED / name).read_text("utf-8").partition('"BoundingBox": {')[2].partition("}")[0]
    members = [f"BoundingBox.{member}" for member in re.findall(r'"(\w+)":', example)]
    assert members == [field for field in FIELDS if "." in field]


@needs_documents
@pytest.mark.parametrize(("case", "words"), ERRORS.items(), ids=ERRORS)
def test_errors_stand_in_the_wire_notes(case: str, words: str) -> None:
    """The words of every listed error stand in WIRE.md §4.4."""
    section = (SHARED / "WIRE.md").read_text("utf-8").partition("### 4.4")[2].partition("### 4.5")[0]
    assert words in section


@needs_documents
def test_no_error_of_the_wire_notes_is_missing() -> None:
    """Every text in back-quotes or behind a gateway status of WIRE.md §4.4 is in the list."""
    section = (SHARED / "WIRE.md").read_text("utf-8").partition("### 4.4")[2].partition("### 4.5")[0]
    table, _, prose = section.partition("SageMaker flavour")
    gateway = re.findall(r"(?:403|413|429|502|504) `([^`]+?)…?`", prose)
    function = re.findall(r"\| (`{1,2}) ?(.+?) ?\1(?= |\n)", table) + re.findall(r"/ (`{1,2}) (.+?) \1", table)
    texts = {*gateway, *(text for _, text in function), *re.findall(r"415 `([^`]+)`", prose)}
    assert texts - {"url"} == {words.strip() if words != "Signature expired: " else words for words in ERRORS.values()}
