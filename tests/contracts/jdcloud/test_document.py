"""The committed list of documented things is what the documents say, and the room's own tables are that list."""

from __future__ import annotations

import re

import pytest
from contracts.jdcloud.document import (
    BUSINESS,
    ENVELOPE_FIELDS,
    FACE_FIELDS,
    GATEWAY,
    REQUEST_FIELDS,
    RESULT_FIELDS,
    SHARED,
    SYSTEM,
)
from running import ROOT

from visavis_client import errors as domain
from visavis_client.vendor_scales import JDCLOUD
from visavis_proxy.contracts.jdcloud.errors import (
    BusinessCode,
    BusinessError,
    GatewayStatus,
    SystemCode,
    SystemLevelError,
    translate,
)
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings

needs_documents = pytest.mark.skipif(not SHARED.is_dir(), reason="the documents are not beside this checkout")


def document() -> str:
    return (SHARED / "jdcloud.md").read_text("utf-8")


def rows(section: str) -> list[list[str]]:
    """Cells of the HTML tables in a part of the document, headings left out."""
    found = re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)
    return [[cell.strip() for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)] for row in found]


def part(begin: str, end: str) -> str:
    return document().partition(begin)[2].partition(end)[0]


@needs_documents
def test_request_fields_are_the_rows_of_the_document() -> None:
    """Header and body parameters, in the document's order."""
    header = re.findall(r"^(\w+) \| string \| 是", part("（1）header", "（2）body"), re.MULTILINE)
    body = [row[0] for row in rows(part("（2）body", "### 4."))[1:]]
    assert (*header, *body) == REQUEST_FIELDS


@needs_documents
def test_envelope_fields_are_the_rows_of_the_document() -> None:
    """公共返回参数."""
    found = re.findall(r"^(\w+) \| (?:string|boolean|long|object) \|", part("（1）公共", "（2）业务"), re.MULTILINE)
    assert tuple(found) == ENVELOPE_FIELDS


@needs_documents
def test_result_fields_are_the_rows_of_the_document() -> None:
    """业务返回参数."""
    found = [f"result.{row[0]}" for row in rows(part("（2）业务返回参数", "**faceItems")) if row]
    assert tuple(found) == RESULT_FIELDS


@needs_documents
def test_face_fields_are_the_rows_of_the_document() -> None:
    """faceItems, with the members that the descriptions name."""
    found = []
    for row in rows(part("**faceItems", "### 2、返回示例")):
        if row:
            found.append(f"faceItem.{row[0]}")
            found += [f"faceItem.{row[0]}.{name}" for name in re.findall(r"^\s*(\w+)：", row[3], re.MULTILINE)]
    assert tuple(found) == FACE_FIELDS


@needs_documents
def test_business_codes_are_the_rows_of_the_document() -> None:
    """业务错误码: number and msg of every row."""
    found = {int(row[0]): row[1] for row in rows(document().partition("### 3、业务错误码")[2])[1:]}
    assert found == BUSINESS


@needs_documents
def test_system_codes_stand_in_the_wire_notes() -> None:
    """Code and msg of every listed row of the system table; the envelope's own "10000" has two spellings."""
    notes = (SHARED / "WIRE.md").read_text("utf-8")
    assert [code for code, msg in SYSTEM.items() if f"{code} {msg}" not in notes] == []


@needs_documents
def test_thresholds_are_the_documents() -> None:
    """万分之一, 十万分之一, 百万分之一."""
    said = re.search(
        r"万分之一误识率下阈值: ([\d.]+),\s*十万分之一误识率下阈值: ([\d.]+), 百万分之一误识率下阈值：([\d.]+)",
        document(),
    )
    assert said is not None
    assert tuple(map(float, said.groups())) == tuple(JDCLOUD.thresholds[rate] for rate in (1e-4, 1e-5, 1e-6))


def test_the_rooms_tables_are_the_list() -> None:
    """errors.py knows the rows of the list, word for word, and no other."""
    assert {int(code): code.name for code in BusinessCode} == BUSINESS
    assert {row.code: row.msg for row in SystemCode} == {k: v for k, v in SYSTEM.items() if k != "10000"}
    assert {status.name: int(status) for status in GatewayStatus} == GATEWAY


def leaves(root: type[Exception]) -> list[type[Exception]]:
    below = [leaf for child in root.__subclasses__() for leaf in leaves(child)]
    return below or [root]


@pytest.mark.parametrize("error", leaves(domain.VisavisError))
def test_every_error_of_the_client_has_a_row(error: type[Exception]) -> None:
    """No leaf of the client's tree is unexpected here."""
    assert isinstance(translate(error("any")), BusinessError | SystemLevelError)


def test_every_setting_stands_on_the_page() -> None:
    """docs/contracts/jdcloud.md names every setting and no other."""
    page = (ROOT / "docs" / "contracts" / "jdcloud.md").read_text("utf-8").partition("## Settings")[2]
    named = set(re.findall(r"`([A-Z0-9_]+?)(?:__YAW)?`", page.partition("| Setting |")[2])) - {"__PITCH", "__ROLL"}
    assert named == {name.upper() for name in JdCloudSettings.model_fields}
