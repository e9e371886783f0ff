"""The Authorization header, held against requests that the vendor's own clients signed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from contracts.jdcloud.calling import Signer
from contracts.jdcloud.document import SHARED

from visavis_proxy.contracts.jdcloud.route import PATH
from visavis_proxy.contracts.jdcloud.signature import (
    HttpRequest,
    SignatureInvalid,
    canonical_query,
    canonical_requests,
    canonical_uri,
    query_as_sent,
    read_claim,
    string_to_sign,
    verify,
)

documented = pytest.mark.documented

VECTORS_FILE = SHARED / "golden_vectors.json"
NAMES = ("jd_apim_json", "jd_apim_string_body", "jd_sdk16_v3", "jd_published_example")
SECRET = "TESTSK"


def vector(name: str) -> dict[str, Any]:
    if not VECTORS_FILE.is_file():
        pytest.skip("needs ../shared/contracts, which is not here")
    return next(entry for entry in json.loads(VECTORS_FILE.read_text()) if entry["name"] == name)


def request_of(entry: dict[str, Any]) -> HttpRequest:
    headers = tuple((name, value) for name, value in entry["headers"])
    return HttpRequest(entry["method"], entry["target"], headers, base64.b64decode(entry["body_base64"]))


def judge(request: HttpRequest, secret: str) -> bool:
    try:
        verify(request, read_claim(request), secret)
    except SignatureInvalid:
        return False
    return True


def signed_request(signer: Signer, body: bytes = b"{}") -> HttpRequest:
    target = PATH + ("?" + signer.query if signer.query else "")
    return HttpRequest("POST", target, tuple(signer.headers(body).items()), body)


def without(request: HttpRequest, name: str) -> HttpRequest:
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0].lower() != name))


def with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    rest = without(request, name)
    return replace(rest, headers=(*rest.headers, (name, value)))


def test_these_are_all_the_vectors_of_this_vendor() -> None:
    """No JD Cloud vector of the file is left out."""
    vector(NAMES[0])
    schemes = {entry["name"]: entry["scheme"] for entry in json.loads(VECTORS_FILE.read_text())}
    assert {name for name, scheme in schemes.items() if scheme.startswith("JDCLOUD")} == set(NAMES)


EXAMPLES = {
    "jd_published_example": documented("jdcloud", "example", "WIRE.md §2.2: vendor's published signature"),
    "jd_apim_json": documented("jdcloud", "example", "WIRE.md §2.2: captured signature"),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=EXAMPLES.get(name, ())) for name in NAMES])
def test_golden_vector_is_judged_right(name: str) -> None:
    """A vector holds, or not, as its file says, and what is hashed on the way is what the client hashed."""
    entry = vector(name)
    request = request_of(entry)
    claim = read_claim(request)
    assert judge(request, entry["secret"]) is entry["valid"]
    assert claim.key_id == entry["access_key"]
    canonical = canonical_requests(request, claim)
    assert entry["canonical_request"] in canonical
    assert entry["string_to_sign"] in [string_to_sign(claim, form) for form in canonical]


@pytest.mark.parametrize("name", NAMES)
def test_golden_vector_with_another_secret_is_refused(name: str) -> None:
    """Only the key's own secret makes the signature."""
    assert not judge(request_of(vector(name)), SECRET + "x")


def alterations(request: HttpRequest) -> dict[str, HttpRequest]:
    """The request with each signed part altered by one byte."""
    altered = {
        "method": replace(request, method=request.method[:-1] + "S"),
        "path": replace(request, target=request.target.replace("/", "/x", 1)),
        "query": replace(request, target=request.target + ("&a" if "?" in request.target else "?a")),
        "body": replace(request, body=bytes([request.body[0] ^ 1]) + request.body[1:]),
        "body longer": replace(request, body=request.body + b" "),
    }
    claim = read_claim(request)
    for name in {*claim.signed_headers, "x-jdcloud-date"}:
        value = request.header(name) or ""
        altered[name] = with_header(request, name, value[:-1] + chr(ord(value[-1]) ^ 1))
    authorization = request.header("authorization") or ""
    for part in (claim.key_id, *claim.scope.split("/"), ";".join(claim.signed_headers), claim.signature):
        at = authorization.index(part) + len(part) - 1
        other = authorization[:at] + chr(ord(authorization[at]) ^ 1) + authorization[at + 1 :]
        altered[f"Authorization: {part}"] = with_header(request, "authorization", other)
    del altered[f"Authorization: {claim.key_id}"]
    return altered


@pytest.mark.parametrize("name", NAMES)
def test_each_signed_part_altered_by_one_byte_is_refused(name: str) -> None:
    """Method, path, query, body, every signed header, scope and signature are all proven."""
    request = request_of(vector(name))
    assert judge(request, SECRET)
    wrongly_held = [part for part, altered in alterations(request).items() if judge(altered, SECRET)]
    assert wrongly_held == []


def test_an_altered_key_id_is_another_key() -> None:
    """The key id is proven by its secret: another id, another key."""
    request = request_of(vector("jd_apim_json"))
    claimed = (request.header("authorization") or "").replace("TESTAK", "TESTAJ")
    assert read_claim(with_header(request, "authorization", claimed)).key_id == "TESTAJ"


@pytest.mark.parametrize("name", ["x-jdcloud-date", "x-jdcloud-nonce"])
def test_jdcloud2_must_sign(name: str) -> None:
    """A JDCLOUD2 request whose date or nonce is not among the SignedHeaders is refused."""
    signed = tuple(other for other in Signer().signed if other != name)
    with pytest.raises(SignatureInvalid, match=f"{name} is not among"):
        read_claim(signed_request(Signer(signed=signed)))


def test_jdcloud3_may_leave_date_and_nonce_unsigned() -> None:
    """The vendor's jdcloud-sdk signs content-type and host alone."""
    request = signed_request(Signer(version="3", signed=("content-type", "host")))
    assert judge(request, Signer().secret)


def test_jdcloud3_must_sign_the_nonce_where_the_setting_says_so() -> None:
    """The setting closes the gap that the vendor's client leaves open."""
    request = signed_request(Signer(version="3", signed=("content-type", "host")))
    with pytest.raises(SignatureInvalid):
        read_claim(request, jdcloud3_signs_nonce=True)
    assert read_claim(signed_request(Signer(version="3")), jdcloud3_signs_nonce=True).version == "3"


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_security_token_must_be_signed(version: str) -> None:
    """x-jdcloud-security-token is refused unsigned and accepted signed."""
    token = (("x-jdcloud-security-token", "dG9rZW4="),)
    unsigned = Signer(version=version, extra=token)
    assert not judge(signed_request(unsigned), unsigned.secret)
    signed = replace(unsigned, signed=(*unsigned.signed, "x-jdcloud-security-token"))
    assert judge(signed_request(signed), signed.secret)


@pytest.mark.parametrize("name", ["authorization", "x-jdcloud-date", "x-jdcloud-nonce", "content-type"])
def test_a_missing_header_is_refused(name: str) -> None:
    """A request without one of its headers proves nothing."""
    request = signed_request(Signer())
    assert judge(request, Signer().secret)
    assert not judge(without(request, name), Signer().secret)


@pytest.mark.parametrize(
    "value",
    ["", "Basic dGVzdA==", "JDCLOUD2-HMAC-SHA256", "JDCLOUD4-HMAC-SHA256 Credential=a/20261121/r/s/jdcloud4_request"],
)
def test_a_malformed_authorization_is_refused(value: str) -> None:
    """What is not of the documented form is refused with a text that repeats nothing of it."""
    with pytest.raises(SignatureInvalid, match="not as documented"):
        read_claim(with_header(signed_request(Signer()), "authorization", value))


def test_two_authorizations_are_refused() -> None:
    """A second Authorization header makes both of them void."""
    request = signed_request(Signer())
    doubled = replace(request, headers=(*request.headers, ("Authorization", request.header("authorization") or "")))
    assert not judge(doubled, Signer().secret)


@pytest.mark.parametrize("value", ["20261121", "20261121T033000", "20261341T033000Z", "２0261121T033000Z", "\u0661"])
def test_a_malformed_date_is_refused(value: str) -> None:
    """x-jdcloud-date is a UTC time of the form YYYYMMDDTHHMMSSZ."""
    with pytest.raises(SignatureInvalid, match="x-jdcloud-date"):
        read_claim(with_header(signed_request(Signer()), "x-jdcloud-date", value))


def test_the_date_of_the_credential_is_that_of_the_header() -> None:
    """A key derived for another day signs nothing."""
    request = signed_request(Signer())
    with pytest.raises(SignatureInvalid, match="Credential"):
        read_claim(with_header(request, "x-jdcloud-date", "20261122T033000Z"))


@documented("jdcloud", "example", "Authorization of the header table")
def test_the_documents_sample_without_a_blank_is_accepted() -> None:
    """JDCLOUD2-HMAC-SHA256Credential=access... is how the document prints it."""
    request = signed_request(Signer())
    tight = (request.header("authorization") or "").replace(" ", "")
    assert tight.startswith("JDCLOUD2-HMAC-SHA256Credential=")
    assert judge(with_header(request, "authorization", tight), Signer().secret)


def test_x_jdcloud_content_sha256_must_be_the_bodys() -> None:
    """The header is checked where it is sent, and never trusted."""
    request = signed_request(Signer())
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert not judge(with_header(request, "x-jdcloud-content-sha256", empty), Signer().secret)


@pytest.mark.parametrize(
    ("query", "canonical"),
    [("b=1&a=%7e%2f", "a=~%2F&b=1"), ("b=1&a=%7e%2f", "a=%7e%2f&b=1"), ("a=x+y", "a=x%20y"), ("a", "a=")],
)
def test_both_canonical_queries_are_accepted(query: str, canonical: str) -> None:
    """Encoded anew, as the documents say, and as sent, as the JDCLOUD2 client does."""
    signer = Signer(query=query, canonical_query=canonical)
    assert judge(signed_request(signer), signer.secret)


def test_canonical_parts() -> None:
    """Paths lose repeated slashes; queries are sorted by name, then by value."""
    assert canonical_uri("//jdai///face%43ompareV1") == "/jdai/faceCompareV1"
    assert canonical_uri("/v1/resource:action") == "/v1/resource%3Aaction"
    assert canonical_uri("") == "/"
    assert canonical_query("b=2&a=2&a=1&&c") == "a=1&a=2&b=2&c="
    assert query_as_sent("b=2&a=%7E") == "a=%7E&b=2"
