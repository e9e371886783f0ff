"""The committed list of documented things is what the documents say, and our own page says what is shipped."""

from __future__ import annotations

import json
import re
from decimal import ROUND_CEILING, Decimal

import pytest
from contracts.aws.document import ERRORS, FIELDS, SHARED
from running import ROOT

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


def test_our_page_prints_the_shipped_thresholds() -> None:
    """Each number under "Which threshold" is the default pack's at that rate, rounded up: no more strangers pass."""
    page = (ROOT / "docs" / "contracts" / "aws.md").read_text("utf-8")
    head, _, row = page.partition("### Which threshold")[2].partition("\n\n| ")[2].splitlines()[:3]
    strangers = [int(cell.replace(" ", "")) for cell in head.split("|")[1:-1]]
    printed = [Decimal(cell.strip()) for cell in row.split("|")[2:-1]]
    table = ROOT / "export" / "visavis_export" / "packs" / "opencv.operating_points.json"
    points = json.loads(table.read_text("utf-8"), parse_float=Decimal)["operating_points"]
    shipped = {round(1 / point["false_match_rate"]): point["threshold"] for point in points}
    assert strangers == [100, 1_000, 10_000, 100_000]
    assert printed == [shipped[one].quantize(Decimal("0.001"), ROUND_CEILING) for one in strangers]
