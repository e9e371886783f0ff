"""The load generator signs as the vendors' clients do: captured requests are signed again, letter by letter."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from visavis_perf.places import SHARED
from visavis_perf.signing import (
    AwsSigner,
    Caller,
    aliyun_rpc_signature,
    aliyun_v3_authorization,
    jdcloud_authorization,
    sha256_hex,
)

_FILE = SHARED / "contracts" / "golden_vectors.json"
pytestmark = pytest.mark.skipif(not _FILE.is_file(), reason="the captured requests lie beside the checkout only")


def _vectors(scheme: str) -> list[Any]:
    rows = json.loads(_FILE.read_text("utf-8")) if _FILE.is_file() else []
    return [pytest.param(row, id=row["name"]) for row in rows if row["scheme"] == scheme and row["valid"]]


def _signed(row: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """The headers that the client signed, by lower-case name, and its Authorization."""
    headers = {name.lower(): value for name, value in row["headers"]}
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    return {name: headers[name] for name in names}, headers["authorization"]


@pytest.mark.parametrize("row", _vectors("ACS3-HMAC-SHA256"))
def test_alibaba_v3_is_signed_as_its_clients_sign(row: dict[str, Any]) -> None:
    """ACS3-HMAC-SHA256 agrees with every captured request."""
    headers, authorization = _signed(row)
    query = urlsplit(row["target"]).query
    caller = Caller(row["access_key"], row["secret"])
    assert aliyun_v3_authorization(caller, headers=headers, query=query, method=row["method"]) == authorization


@pytest.mark.parametrize("row", _vectors("ALI-RPC-HMAC-SHA1"))
def test_alibaba_rpc_is_signed_as_its_clients_sign(row: dict[str, Any]) -> None:
    """RPC signature 1.0 covers query and form together, blank values among them."""
    query = dict(parse_qsl(urlsplit(row["target"]).query, keep_blank_values=True))
    form = dict(parse_qsl(base64.b64decode(row["body_base64"]).decode(), keep_blank_values=True))
    del query["Signature"]
    caller = Caller(row["access_key"], row["secret"])
    assert aliyun_rpc_signature(caller, row["method"], query | form) == row["signature"]


def test_jd_cloud_is_signed_as_its_client_signs() -> None:
    """JDCLOUD2 over four headers gives the captured client's Authorization."""
    rows = {param.values[0]["name"]: param.values[0] for param in _vectors("JDCLOUD2-HMAC-SHA256")}
    for name in ("jd_apim_json", "jd_apim_string_body"):
        row: Any = rows[name]
        headers, authorization = _signed(row)
        made = jdcloud_authorization(
            Caller(row["access_key"], row["secret"]),
            path=row["target"],
            headers=headers,
            body_sha256=sha256_hex(base64.b64decode(row["body_base64"])),
            region="jdcloud-api",
            service="simpleclient",
        )
        assert made == authorization


def test_jd_cloud_is_signed_as_its_document_shows() -> None:
    """The vendor's published example, with its query and its header that begins with a blank."""
    row: Any = next(
        param.values[0]
        for param in _vectors("JDCLOUD2-HMAC-SHA256")
        if param.values[0]["name"] == "jd_published_example"
    )
    headers, authorization = _signed(row)
    made = jdcloud_authorization(
        Caller(row["access_key"], row["secret"]),
        path="/v1/resource%3Aaction",
        query="o=%25&p0=p0&p1=p1&u=u",
        headers=headers,
        body_sha256=sha256_hex(b"body data"),
        service="test",
    )
    assert made == authorization


def test_aws_requests_carry_what_the_gateway_demands() -> None:
    """SigV4 for execute-api signs host and date, and the body's digest that was given."""
    headers = AwsSigner(Caller("AKIDEXAMPLE", "secret")).headers(
        "http://127.0.0.1:8080/prod/face_comparison", sha256_hex(b"{}"), "application/json"
    )
    authorization = headers["Authorization"]
    assert "/cn-northwest-1/execute-api/aws4_request" in authorization
    signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed)
    assert headers["X-Amz-Content-SHA256"] == sha256_hex(b"{}")


def test_a_caller_shows_no_secret() -> None:
    """What may reach a log has the key and nothing else."""
    assert "hidden" not in repr(Caller("key", "hidden"))
