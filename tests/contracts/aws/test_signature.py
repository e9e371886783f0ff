"""Signature Version 4: the golden vectors are judged right, and nothing that is signed can be altered."""

from __future__ import annotations

import base64
import calendar
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from contracts.aws import bench
from contracts.aws.document import SHARED
from fakes import TEST_KEY
from hypothesis import given
from hypothesis import strategies as st

from visavis_client.fakes import FakeEngine
from visavis_proxy.contracts.aws.errors import Refused
from visavis_proxy.contracts.aws.signature import (
    SentRequest,
    canonical_request,
    check_claims,
    check_signature,
    read_authorization,
    sign,
    string_to_sign,
)
from visavis_proxy.credentials import Key

documented = pytest.mark.documented

#: Signed by aws-requests-auth and by botocore, for pictures too small to hold a face; bodies shortened for this file.
SECRET = "testSecretAccessKey"
NOW = calendar.timegm((2026, 11, 21, 3, 29, 40))


def golden() -> list[Any]:
    """The AWS vectors, or one that is skipped where they are not beside this checkout."""
    file = SHARED / "golden_vectors.json"
    if not file.is_file():
        skip = pytest.mark.skip(reason="golden_vectors.json is not beside this checkout")
        return [pytest.param({}, marks=skip, id="absent")]
    vectors = [v for v in json.loads(file.read_text("utf-8")) if v["scheme"] == "AWS4-HMAC-SHA256"]
    return [pytest.param(v, id=v["name"]) for v in vectors]


def sent(vector: dict[str, Any]) -> SentRequest:
    headers = tuple((name.lower(), value) for name, value in vector["headers"])
    return SentRequest(vector["method"], vector["target"], headers, base64.b64decode(vector["body_base64"]))


def judge(request: SentRequest, secret: str = SECRET, now_s: float = NOW) -> None:
    """Everything a signature must stand; raises Refused."""
    authorization = read_authorization(request)
    check_claims(authorization, request, now_s, 300)
    check_signature(authorization, request, secret)


def a_signed_request(**changed: Any) -> SentRequest:
    """A request of our own, signed by our own ``sign`` (which the golden vectors vouch for)."""
    date = changed.pop("date", "20261121T032938Z")
    scope = changed.pop("scope", "20261121/cn-northwest-1/execute-api/aws4_request")
    names = changed.pop("names", "content-type;host;x-amz-date")
    headers = (
        ("host", "127.0.0.1:41627"),
        ("content-type", "application/json"),
        ("x-amz-date", date),
        ("authorization", f"AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={names}, Signature=0"),
    )
    request = replace(SentRequest("POST", "/prod/face_comparison?a=1", headers, b'{"img": "AAAA"}'), **changed)
    signature = sign(read_authorization(request), request, SECRET)
    return replace(request, headers=_with(request.headers, "authorization", lambda v: v[:-1] + signature))


def _with(headers: tuple[tuple[str, str], ...], name: str, change: Any) -> tuple[tuple[str, str], ...]:
    return tuple((held, change(value) if held == name else value) for held, value in headers)


@documented("aws", "example", "WIRE.md §4.2: signed request")
@pytest.mark.parametrize("vector", golden())
def test_golden_vector_is_judged_right(vector: dict[str, Any]) -> None:
    """Canonical request, string to sign, signature and verdict are the vector's."""
    request = sent(vector)
    authorization = read_authorization(request)
    assert canonical_request(authorization, request) == vector["canonical_request"]
    assert string_to_sign(authorization, request) == vector["string_to_sign"]
    assert (sign(authorization, request, vector["secret"]) == vector["signature"]) == vector["valid"]
    if vector["valid"]:
        judge(request, vector["secret"])
    else:
        with pytest.raises(Refused):
            judge(request, vector["secret"])


@pytest.mark.parametrize("vector", golden())
def test_golden_vector_passes_the_door(vector: dict[str, Any]) -> None:
    """The vector's own request, header by header, is let in under AWS_IAM."""
    key = Key(id=vector["access_key"], secret=vector["secret"])
    picture = base64.b64decode(json.loads(base64.b64decode(vector["body_base64"]))["img"])
    given = bench.services({picture: bench.ANALYSES[bench.FACE]}, keys=[key], clock=lambda: float(NOW))
    given = replace(given, settings=bench.settings(authorization="AWS_IAM"))
    body = base64.b64decode(vector["body_base64"])
    answer = bench.client(given).post(vector["target"], content=body, headers=dict(vector["headers"]))
    assert (answer.status_code == 200) == vector["valid"], answer.text


def test_request_that_is_untouched_is_let_in() -> None:
    """The request that the tests below alter is right before it is altered."""
    judge(a_signed_request())


ORIGINAL = a_signed_request()
AUTHORIZATION = dict(ORIGINAL.headers)["authorization"]
SIGNED_TEXTS = {
    "target": ORIGINAL.target,
    "host": dict(ORIGINAL.headers)["host"],
    "content-type": dict(ORIGINAL.headers)["content-type"],
    "x-amz-date": dict(ORIGINAL.headers)["x-amz-date"],
    "authorization": AUTHORIZATION,
    "method": ORIGINAL.method,
    "body": ORIGINAL.body.decode(),
}


@pytest.mark.parametrize("part", SIGNED_TEXTS)
def test_signed_part_altered_by_one_byte_is_refused(part: str) -> None:
    """Whichever byte of a signed part becomes another, the request is refused."""
    text = SIGNED_TEXTS[part]
    for at, byte in enumerate(text):
        if part == "authorization" and (byte in " ," or at < len("AWS4-HMAC-SHA256 Credential=AKID")):
            continue  # separators, the scheme and the key's id: tests of their own
        altered = text[:at] + chr(ord(byte) ^ 1) + text[at + 1 :]
        with pytest.raises(Refused):
            judge(_altered(part, altered))


def _altered(part: str, text: str) -> SentRequest:
    if part == "body":
        return replace(ORIGINAL, body=text.encode())
    if part in {"method", "target"}:
        return replace(ORIGINAL, **{part: text})
    return replace(ORIGINAL, headers=_with(ORIGINAL.headers, part, lambda _: text))


def test_body_is_judged_by_its_own_digest() -> None:
    """An x-amz-content-sha256 of the signed body, sent unsigned beside another body, helps nobody."""
    digest = "0a" * 32
    altered = replace(ORIGINAL, body=b"{}", headers=(*ORIGINAL.headers, ("x-amz-content-sha256", digest)))
    with pytest.raises(Refused, match="does not match"):
        judge(altered)


def test_wrong_secret_is_refused() -> None:
    """Another secret gives another signature."""
    with pytest.raises(Refused, match="does not match"):
        judge(ORIGINAL, secret="testSecretAccessKez")


@pytest.mark.parametrize(
    ("names", "words"),
    [("content-type;x-amz-date", "'Host' must be"), ("content-type;host", "'X-Amz-Date' must be")],
    ids=["host", "x-amz-date"],
)
def test_header_that_must_be_signed(names: str, words: str) -> None:
    """A rightly computed signature that leaves out the host or the date is refused."""
    with pytest.raises(Refused, match=words):
        judge(a_signed_request(names=names))


@pytest.mark.parametrize(
    ("later_s", "words"),
    [
        (300, None),
        (-300, None),
        (301, "Signature expired: 20261121T032938Z is now earlier than 20261121T032939Z (20261121T033439Z - 5 min.)"),
        (
            -301,
            "Signature not yet current: 20261121T032938Z is still later than 20261121T032937Z "
            "(20261121T032437Z + 5 min.)",
        ),
    ],
)
def test_clock_may_differ_by_five_minutes(later_s: float, words: str | None) -> None:
    """Five minutes either way are accepted; one second more is refused, in words that name both times."""
    now_s = calendar.timegm((2026, 11, 21, 3, 29, 38)) + later_s
    if words is None:
        judge(ORIGINAL, now_s=now_s)
    else:
        with pytest.raises(Refused) as refused:
            judge(ORIGINAL, now_s=now_s)
        assert json.loads(refused.value.answer.body)["message"] == words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"scope": "20261120/cn-northwest-1/execute-api/aws4_request"}, "Date in Credential scope"),
        ({"scope": "20261121/cn-northwest-1/s3/aws4_request"}, "correct service: 'execute-api'"),
        ({"scope": "20261121/cn-northwest-1/execute-api/aws4"}, "valid terminator"),
        ({"scope": "execute-api/aws4_request"}, "exactly 5 slash-delimited"),
        ({"date": "2026-11-21T03:29:38Z", "scope": "2026-11-/r/execute-api/aws4_request"}, "ISO-8601"),
        ({"date": "20261321T032938Z", "scope": "20261321/r/execute-api/aws4_request"}, "ISO-8601"),
    ],
    ids=["day", "service", "terminator", "short", "date-extended", "date-impossible"],
)
def test_claim_that_is_not_acceptable(changed: dict[str, str], words: str) -> None:
    """A scope or a date of another form is refused although it was signed."""
    with pytest.raises(Refused, match=words):
        judge(a_signed_request(**changed))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("AWS4-HMAC-SHA256", "'Credential' parameter.*'Signature' parameter.*'SignedHeaders' parameter"),
        ("AWS4-HMAC-SHA256 Credential=A/1/2/3/4, SignedHeaders=host", "requires 'Signature' parameter"),
        (
            "AWS4-ECDSA-P256-SHA256 Credential=A/1/2/3/4, SignedHeaders=host, Signature=00",
            "Unsupported AWS 'algorithm'",
        ),
        ("Bearer abc", "Missing Authentication Token"),
    ],
    ids=["bare", "no signature", "other algorithm", "other scheme"],
)
def test_authorization_that_is_incomplete(header: str, words: str) -> None:
    """An Authorization header that lacks something is told what."""
    with pytest.raises(Refused, match=words):
        judge(replace(ORIGINAL, headers=_with(ORIGINAL.headers, "authorization", lambda _: header)))


def test_missing_date_is_named() -> None:
    """A signed request without x-amz-date is told so."""
    headers = tuple(header for header in ORIGINAL.headers if header[0] != "x-amz-date")
    with pytest.raises(Refused, match="X-Amz-Date"):
        judge(replace(ORIGINAL, headers=headers))


@given(
    query=st.lists(
        st.tuples(
            st.text("abcXYZ09-_.~", min_size=1, max_size=5), st.sampled_from(["", "1", "%20", "%E4%BA%BA", "a~b"])
        ),
        max_size=4,
    ),
    body=st.binary(max_size=64),
)
def test_whatever_botocore_signs_is_accepted(query: list[tuple[str, str]], body: bytes) -> None:
    """Any query and any body that botocore signs pass, byte for byte as botocore sends them."""
    target = "/prod/face_comparison"
    if query:
        target += "?" + "&".join(f"{name}={value}" for name, value in query)
    headers = bench.signed(body, url=f"http://{bench.HOST}{target}")
    names = tuple((name.lower(), value) for name, value in headers.items())
    request = SentRequest("POST", target, (("host", bench.HOST), *names), body)
    judge(request, TEST_KEY.secret.get_secret_value(), time.time())


def test_fake_engine_is_not_asked_for_a_refused_request() -> None:
    """A request with a bad signature never reaches the engine."""
    engine = FakeEngine(bench.ANALYSES)
    given = replace(bench.services(), engine=engine)
    body = bench.as_json(bench.img(bench.FACE))
    headers = bench.signed(body) | {"X-Amz-Date": "20200101T000000Z"}
    assert bench.client(given).post("/prod/face_comparison", content=body, headers=headers).status_code == 403
    assert engine.asked == []
