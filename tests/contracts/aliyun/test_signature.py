"""Both signatures: the golden vectors are judged right, and nothing that is signed can be altered."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from contracts.aliyun import bench
from contracts.aliyun.document import SHARED

from visavis_proxy.contracts.aliyun import signature_acs3, signature_rpc
from visavis_proxy.contracts.aliyun.request import AcsRequest, parse

SCHEMES = {"ALI-RPC-HMAC-SHA1": "rpc", "ACS3-HMAC-SHA256": "acs3"}
Alter = Callable[[bench.Call], bench.Call]


def vectors() -> list[Any]:
    """This room's vectors, or one that is skipped where they are not beside this checkout."""
    file = SHARED / "golden_vectors.json"
    if not file.is_file():
        skip = pytest.mark.skip(reason="golden_vectors.json is not beside this checkout")
        return [pytest.param({}, marks=skip, id="absent")]
    ours = [vector for vector in json.loads(file.read_text("utf-8")) if vector["scheme"] in SCHEMES]
    marks = {
        "ali_acs_post_url": pytest.mark.documented("aliyun", "example", "WIRE.md §1.3: RPC request"),
        "ali_tea_v3_url": pytest.mark.documented("aliyun", "example", "WIRE.md §1.3: V3 request"),
    }
    return [pytest.param(v, id=v["name"], marks=[marks[v["name"]]] if v["name"] in marks else []) for v in ours]


def read(vector: dict[str, Any]) -> AcsRequest:
    return parse(vector["method"], vector["target"], vector["headers"], base64.b64decode(vector["body_base64"]))


def is_valid(vector: dict[str, Any], request: AcsRequest) -> bool:
    if SCHEMES[vector["scheme"]] == "rpc":
        return signature_rpc.is_signed_with(vector["secret"], request, signature_rpc.string_to_sign(request))
    try:
        authorization = signature_acs3.read_authorization(request)
    except signature_acs3.AuthorizationMalformed:
        return False
    canonical = signature_acs3.canonical_request(request, authorization.signed_headers)
    return signature_acs3.is_signed_with(vector["secret"], request, authorization, canonical)


@pytest.mark.parametrize("vector", vectors())
def test_every_vector_is_judged_right(vector: dict[str, Any]) -> None:
    """Captured requests of real clients: the same strings to sign, and valid or not as they are."""
    request = read(vector)
    if SCHEMES[vector["scheme"]] == "rpc":
        assert signature_rpc.string_to_sign(request).decode() == vector["string_to_sign"]
    else:
        names = signature_acs3.read_authorization(request).signed_headers
        canonical = signature_acs3.canonical_request(request, names)
        assert canonical == vector["canonical_request"]
        assert signature_acs3.string_to_sign(canonical) == vector["string_to_sign"]
    assert is_valid(vector, request) == vector["valid"]


@pytest.mark.parametrize("vector", vectors())
def test_no_vector_survives_another_secret(vector: dict[str, Any]) -> None:
    """The same requests under a secret that differs in its last character."""
    assert not is_valid({**vector, "secret": vector["secret"][:-1] + "~"}, read(vector))


def altered_vectors() -> list[Any]:
    return [v for v in vectors() if v.id == "absent" or v.values[0]["valid"]]


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("vector", altered_vectors())
def test_one_altered_byte_of_any_signed_part_is_refused(vector: dict[str, Any]) -> None:
    """Method, path, every parameter's name and value, every signed header, the body, the signature itself."""
    request = read(vector)
    variants = [replace(request, method="PUT")]
    for part in ("query", "form"):
        pairs = getattr(request, part)
        for at, (name, value) in enumerate(pairs):
            if part == "form" and SCHEMES[vector["scheme"]] == "acs3":
                continue  # Its form is signed as the body's bytes.
            others = [(_flip(name, len(name) // 2), value), (name, _flip(value, len(value) // 2) if value else b"x")]
            variants += [replace(request, **{part: (*pairs[:at], other, *pairs[at + 1 :])}) for other in others]
    if SCHEMES[vector["scheme"]] == "acs3":
        variants += _altered_acs3(request)
    assert len(variants) > 5
    for variant in variants:
        assert not is_valid(vector, variant), variant


def _altered_acs3(request: AcsRequest) -> list[AcsRequest]:
    names = signature_acs3.read_authorization(request).signed_headers
    variants = [replace(request, path="/x"), replace(request, query=((b"Format", b"XML"),))]
    bodies = [_flip(request.body, at) for at in (0, len(request.body) // 2)] if request.body else [b"x"]
    variants += [replace(request, body=body) for body in bodies]
    for at, (name, value) in enumerate(request.headers):
        if name in {*names, "authorization"}:
            for other in {value[:-1] + chr(ord(value[-1]) ^ 1), value + "x", "x" + value}:
                headers = (*request.headers[:at], (name, other), *request.headers[at + 1 :])
                variants.append(replace(request, headers=headers))
    return variants


@pytest.mark.parametrize("sign", [bench.rpc, bench.acs3])
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (0, "1"),
        (-900, "1"),
        (900, "1"),
        (-901, "InvalidTimeStamp.Expired"),
        (901, "InvalidTimeStamp.Expired"),
        (-86400, "InvalidTimeStamp.Expired"),
    ],
)
def test_a_clock_may_be_fifteen_minutes_wrong_and_no_more(
    sign: Callable[..., bench.Call], seconds: int, code: str
) -> None:
    """Either way, under either signature."""
    then = bench.stamp(bench.NOW + seconds)
    call = sign(Timestamp=then) if sign is bench.rpc else sign(x_acs_date=then)
    assert call.send(bench.client()).json()["Code"] == code


@pytest.mark.parametrize("sign", [bench.rpc, bench.acs3])
def test_a_nonce_is_good_for_one_request(sign: Callable[..., bench.Call]) -> None:
    """The same request again is refused, and so is another one with its nonce."""
    named = {"SignatureNonce": "once"} if sign is bench.rpc else {"x_acs_signature_nonce": "once"}
    call, client = sign(**named), bench.client()
    codes = [call.send(client).json()["Code"], call.send(client).json()["Code"]]
    other = sign(bench.form(bench.inline(bench.OTHER_FACE)), **named)
    assert [*codes, other.send(client).json()["Code"]] == ["1", "SignatureNonceUsed", "SignatureNonceUsed"]


def test_a_forger_burns_no_nonce() -> None:
    """A nonce that came with a wrong signature is still good for its owner."""
    client = bench.client()
    forged = bench.GOOD_KEY.model_copy(update={"secret": bench.SLOW_KEY.secret})
    assert bench.rpc(key=forged, SignatureNonce="mine").send(client).json()["Code"] == "SignatureDoesNotMatch"
    assert bench.rpc(SignatureNonce="mine").send(client).json()["Code"] == "1"


def test_a_nonce_outlives_the_last_moment_of_its_timestamp() -> None:
    """A request dated a quarter of an hour ahead cannot be replayed when its time has come."""
    now = [bench.NOW]
    client = bench.client(bench.services(clock=lambda: now[0]))
    call = bench.rpc(Timestamp=bench.stamp(bench.NOW + 900))
    assert call.send(client).json()["Code"] == "1"
    now[0] += 1799
    assert call.send(client).json()["Code"] == "SignatureNonceUsed"
    now[0] += 2
    assert call.send(client).json()["Code"] == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
        "x-acs-extra",
    ],
)
def test_a_header_that_must_be_signed_is_refused_unsigned(name: str) -> None:
    """Host and every header of the vendor's, under V3."""
    call = bench.acs3(unsigned=(name,), x_acs_extra="1")
    assert call.send(bench.client()).json()["Code"] == "IncompleteSignature"


@pytest.mark.parametrize(
    "alter",
    [
        lambda call: call.without_header("x-acs-content-sha256"),
        lambda call: replace(call, headers={**call.headers, "x-acs-added": "1"}),
        lambda call: replace(call, headers={**call.headers, "authorization": "ACS3-HMAC-SHA256 Credential=x"}),
        lambda call: replace(call, headers={**call.headers, "authorization": call.headers["authorization"] + "0"}),
    ],
)
def test_a_malformed_authorization_is_incomplete(alter: Alter) -> None:
    """Named headers that did not come, unsigned ones that did, missing parts, digits too many."""
    assert alter(bench.acs3()).send(bench.client()).json()["Code"] == "IncompleteSignature"


def test_blanks_after_the_commas_of_an_authorization_are_accepted() -> None:
    """As some hand-written clients send it."""
    call = bench.acs3()
    spaced = replace(call, headers={**call.headers, "authorization": call.headers["authorization"].replace(",", ", ")})
    assert spaced.send(bench.client()).json()["Code"] == "1"


def test_the_announced_hash_must_be_the_bodys() -> None:
    """A signed x-acs-content-sha256 of another body is refused."""
    call = bench.acs3(x_acs_content_sha256="0" * 64)
    assert call.send(bench.client()).json()["Code"] == "SignatureDoesNotMatch"


def test_an_sts_token_is_signed_and_otherwise_ignored() -> None:
    """Clients that hold a temporary token for their key are served like others."""
    call = bench.acs3(x_acs_accesskey_id=bench.GOOD_KEY.id, x_acs_security_token="token")
    assert call.send(bench.client()).json()["Code"] == "1"
    assert bench.rpc(SecurityToken="token").send(bench.client()).json()["Code"] == "1"
