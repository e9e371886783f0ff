"""The committed list of documented things is what the document says."""

from __future__ import annotations

import re

import pytest
from contracts.facepp.document import (
    ANSWER,
    ERRORS,
    EXAMPLES,
    FACE,
    PARAMETERS,
    REASONS,
    RECTANGLE,
    REQUIREMENTS,
    SHARED,
    THRESHOLDS,
)

from visavis_proxy.contracts.facepp.errors import DOCUMENTED
from visavis_proxy.contracts.facepp.openapi import COMPARE_OPERATION
from visavis_proxy.contracts.facepp.request import COMPARE


@pytest.fixture(scope="module")
def document() -> str:
    path = SHARED / "facepp.md"
    if not path.is_file():
        pytest.skip("the document is not beside this checkout")
    return path.read_text("utf-8")


def section(document: str, title: str) -> str:
    return re.split(r"^#+ ", document.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_requirements_are_those_of_the_list(document: str) -> None:
    """Every line of 图片要求 is in the list."""
    assert tuple(re.findall(r"^(\S+?)：", section(document, "图片要求"), re.MULTILINE)) == REQUIREMENTS


def test_parameters_are_the_rows_of_the_table(document: str) -> None:
    """Every row of 请求参数 is in the list, in its order."""
    names = re.findall(
        r"\b(?:api|face|image)_[a-z]+(?:64)?_?[12]?\b", "\n".join(_first_cells(section(document, "请求参数")))
    )
    assert tuple(names) == PARAMETERS


def _first_cells(table: str) -> list[str]:
    """The name's cell: the second, or the first where the choice of four leaves the first one out."""
    rows = [[cell.strip() for cell in line.split("|")[1:]] for line in table.splitlines() if line.startswith("|")]
    return [row[1] if row[0].startswith(("必选", "可选")) else row[0] for row in rows[2:]]


def test_answer_fields_are_the_rows_of_the_table(document: str) -> None:
    """Every row of 返回值说明 is in the list, in its order."""
    assert tuple(re.findall(r"^\| (\w+) ", section(document, "返回值说明"), re.MULTILINE)) == ("字段", *ANSWER)


def test_thresholds_are_those_of_the_text(document: str) -> None:
    """The row of thresholds names three rates."""
    row = re.search(r"^\| thresholds .*$", document, re.MULTILINE)
    assert row is not None
    assert tuple(re.findall(r"(1e-\d)：", row[0])) == THRESHOLDS


def test_face_fields_are_the_rows_of_the_table(document: str) -> None:
    """A face has two fields, and its rectangle four sides."""
    table = section(document, "faces1和faces2数组中单个元素的结构")
    assert tuple(re.findall(r"^\| (\w+) ", table, re.MULTILINE)) == ("字段", *FACE)
    assert tuple(re.findall(r"(top|left|width|height)：", table)) == RECTANGLE


def test_errors_are_the_rows_of_both_tables(document: str) -> None:
    """Every row of both error tables is in the list, with its status, and nothing else is."""
    tables = section(document, "当前 API 特有的 ERROR_MESSAGE") + section(document, "通用的ERROR_MESSAGE")
    rows = re.findall(r"^\| (\d+) +\| (.+?) +\|", tables, re.MULTILINE)
    assert {message: int(status) for status, message in rows} == ERRORS


def test_reasons_are_those_of_the_text(document: str) -> None:
    """The row of AUTHORIZATION_ERROR names three reasons."""
    row = re.search(r"^\| 403 .*AUTHORIZATION_ERROR.*$", document, re.MULTILINE)
    assert row is not None
    assert tuple(re.findall(r"([A-Z][a-zA-Z ]+)（", row[0])) == REASONS


def test_examples_are_headings_or_words_of_the_document(document: str) -> None:
    """Every example of the list stands in the document."""
    assert all(example.rpartition(": ")[2] in document for example in EXAMPLES)


def test_the_rooms_own_table_has_the_documents_rows_in_its_order() -> None:
    """errors.DOCUMENTED and the document name the same errors with the same statuses."""
    ours = [(fault.code, fault.status) for fault in DOCUMENTED]
    assert ours == [(message.partition(":")[0], status) for message, status in ERRORS.items()]


def test_the_openapi_names_every_parameter() -> None:
    """The multipart form of compare has the document's parameters, and nothing else."""
    form = COMPARE_OPERATION["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == set(PARAMETERS)
    sides = {name for side in COMPARE for name in (side.token, side.url, side.file, side.base64, side.rectangle)}
    assert sides | {"api_key", "api_secret"} == set(PARAMETERS)
