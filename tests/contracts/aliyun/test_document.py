"""The committed list of documented things is what the documents say."""

from __future__ import annotations

import re

import pytest
from contracts.aliyun.document import DOCUMENT_ERRORS, FIELDS, GATEWAY_ERRORS, SHARED

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the documents are not beside this checkout")

#: Of the gateway's codes, those that the notes only describe, and those that they give by pattern.
OURS = {"IncompleteSignature", "RequestEntityTooLarge"}


def test_fields_are_the_rows_of_both_tables() -> None:
    """Every row of the request and the answer table is in the list, and nothing else."""
    text = (SHARED / "aliyun.md").read_text("utf-8").partition("## 错误码")[0]
    assert re.findall(r"^\|(\w+)\|(?:String|Float)\|", text, re.MULTILINE) == list(FIELDS)


def test_errors_are_the_rows_of_the_error_table() -> None:
    """Code, message and status of every row are in the list, and nothing else."""
    text = (SHARED / "aliyun.md").read_text("utf-8")
    rows = re.findall(r"^\|([\w.]+)\|([^|]+)\|[^|]+\|(\d{3})\|$", text, re.MULTILINE)
    assert {code: (int(status), message) for code, message, status in rows} == DOCUMENT_ERRORS


def test_gateway_errors_are_those_of_the_wire_notes() -> None:
    """Every code in back-quotes of the notes' gateway table is in the list, and the list has no others but ours."""
    section = (SHARED / "WIRE.md").read_text("utf-8").partition("### 1.3")[2].partition("### 1.6")[0]
    table = section.partition("| Case | Status | Code | Message |")[2].partition("**TRAP")[0]
    named = {
        code
        for row in table.splitlines()
        if row.count("|") > 4
        for code in re.findall(r"`([\w.]+)`", row.split("|")[3])
    }
    named |= set(re.findall(r"`(InvalidTimeStamp\.\w+|SignatureNonceUsed)` \(400\)", section))
    # An older name of InvalidAction.NotFound, given in the same cell.
    assert named - {"InvalidApi.NotFound"} == set(GATEWAY_ERRORS) - OURS
    for code in OURS:
        assert code in (SHARED / "WIRE.md").read_text("utf-8")
