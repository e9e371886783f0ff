"""Whatever is sent, the answer is a documented one."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

from contracts.aliyun import bench
from contracts.aliyun.document import ANSWER_FIELDS, DOCUMENT_ERRORS, ERRORS, REQUEST_FIELDS
from hypothesis import given, settings
from hypothesis import strategies as st

PUBLIC = ("Version", "Format", "Timestamp", "SignatureMethod", "SignatureNonce", "AccessKeyId", "Signature")
NAMES = st.sampled_from([*REQUEST_FIELDS, *PUBLIC]) | st.text(max_size=8)
PICTURES = st.sampled_from([bench.inline(data) for data in (bench.FACE, bench.NO_FACE, bench.UNKNOWN, b"BM", b"")])
USUAL = st.sampled_from(
    ["FacePic", "IDPic", "XML", "JSON", "2019-03-07", "CompareFaces", "http://[", "https://a.example"]
)
VALUES = st.text(max_size=30) | PICTURES | USUAL
PARAMETERS = st.dictionaries(NAMES, VALUES, max_size=8)

LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60).map(
    str.strip
)
AUTHORIZATION = LATIN | st.builds(
    "ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature={}".format,
    st.just(bench.GOOD_KEY.id) | LATIN,
    st.just("host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version") | LATIN,
    st.just("0" * 64) | LATIN,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "authorization": AUTHORIZATION,
        "content-type": st.just("application/x-www-form-urlencoded") | LATIN,
        "x-acs-action": st.just("CompareFaces") | LATIN,
        "x-acs-version": st.just("2019-03-07") | LATIN,
        "x-acs-date": st.just(bench.stamp(bench.NOW)) | LATIN,
        "x-acs-signature-nonce": LATIN,
        "x-acs-content-sha256": st.just("0" * 64) | LATIN,
    },
)
CLIENT = bench.client()
#: Codes that say the service is at fault.
OUR_FAULT = {code for code, (status, _) in DOCUMENT_ERRORS.items() if status == 500}


def assert_documented(call: bench.Call) -> None:
    raw = {name: value.encode("latin-1") for name, value in call.headers.items()}
    answer = replace(call, headers=raw).send(CLIENT)  # type: ignore[arg-type]
    if answer.headers["content-type"] == "text/xml;charset=utf-8":
        root = ET.fromstring(answer.content)
        told = {child.tag: child.text for child in root}
        data = [child.tag for child in root.findall("Data/*")]
    else:
        assert answer.headers["content-type"] == "application/json;charset=utf-8"
        told = answer.json()
        data = list(told.get("Data", ()))
    assert told["RequestId"] == answer.headers["x-acs-request-id"]
    if answer.status_code == 200:
        assert told["Code"] == "1"
        assert sorted(data) == sorted(ANSWER_FIELDS)
    else:
        assert sorted(told) == ["Code", "HostId", "Message", "RequestId"]
        known = told["Code"] in set(ERRORS) - OUR_FAULT or str(told["Code"]).startswith("MissingSignature")
        assert known, told


@given(st.sampled_from(["GET", "POST"]), PARAMETERS, st.binary(max_size=200), HEADERS)
@settings(max_examples=300, deadline=None)
def test_every_unsigned_request_gets_a_documented_answer(
    method: str, query: dict[str, str], body: bytes, headers: dict[str, str]
) -> None:
    """Never a 5xx, a hang or an undocumented shape, for arbitrary queries, bodies and headers."""
    assert_documented(bench.Call(method, query, body, headers))


@given(PARAMETERS, st.sampled_from(["GET", "POST"]), st.sampled_from(["JSON", "XML", "xml"]))
@settings(max_examples=300, deadline=None)
def test_every_rightly_signed_form_gets_a_documented_answer(changed: dict[str, str], method: str, form: str) -> None:
    """Behind the signature too, where forms reach the checks and the pictures."""
    public: dict[str, Any] = {
        "Timestamp": bench.stamp(bench.NOW),
        "SignatureMethod": "HMAC-SHA1",
        "AccessKeyId": bench.GOOD_KEY.id,
    }
    kept = {name: value for name, value in changed.items() if name not in {*PUBLIC, "Action", "RegionId"}}
    assert_documented(bench.rpc({**bench.form(), **kept}, method=method, Format=form, **public))


@given(PARAMETERS)
@settings(max_examples=100, deadline=None)
def test_every_rightly_signed_v3_form_gets_a_documented_answer(changed: dict[str, str]) -> None:
    """The same under V3, whose form is signed by its hash."""
    assert_documented(bench.acs3({**bench.form(), **changed}))
