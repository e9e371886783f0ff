"""Clients' side of the vendors' signatures, written from their documents and from nothing of the proxy's.

A load generator that shared the verifier's code would not notice what both have wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Caller:
    """A key of the load generator's own."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Caller({self.key!r})"


def sha256_hex(data: bytes) -> str:
    """Lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed: Iterable[str], body_sha256: str
) -> tuple[str, str]:
    """The text that AWS, JD Cloud and Alibaba's V3 hash, and its list of signed headers.

    ``headers`` have lower-case names; ``signed`` are some of them, sorted by the caller.
    """
    names = list(signed)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    listed = ";".join(names)
    return f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{body_sha256}", listed


def jdcloud_authorization(
    caller: Caller,
    *,
    path: str,
    headers: Mapping[str, str],
    body_sha256: str,
    region: str = "cn-north-1",
    service: str = "jdai",
    query: str = "",
) -> str:
    """JDCLOUD2-HMAC-SHA256 over all of ``headers``, among them ``x-jdcloud-date`` (``YYYYMMDDThhmmssZ``)."""
    stamp = headers["x-jdcloud-date"]
    scope = f"{stamp[:8]}/{region}/{service}/jdcloud2_request"
    canonical, listed = canonical_request("POST", path, query, headers, sorted(headers), body_sha256)
    to_sign = f"JDCLOUD2-HMAC-SHA256\n{stamp}\n{scope}\n{sha256_hex(canonical.encode())}"
    key = f"JDCLOUD2{caller.secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, to_sign).hex()
    return f"JDCLOUD2-HMAC-SHA256 Credential={caller.key}/{scope}, SignedHeaders={listed}, Signature={signature}"


def aliyun_v3_authorization(
    caller: Caller, *, headers: Mapping[str, str], path: str = "/", query: str = "", method: str = "POST"
) -> str:
    """ACS3-HMAC-SHA256 over all of ``headers``, among them ``x-acs-content-sha256``."""
    body_sha256 = headers["x-acs-content-sha256"]
    canonical, listed = canonical_request(method, path, query, headers, sorted(headers), body_sha256)
    to_sign = f"ACS3-HMAC-SHA256\n{sha256_hex(canonical.encode())}"
    signature = _hmac(caller.secret.encode(), to_sign).hex()
    return f"ACS3-HMAC-SHA256 Credential={caller.key},SignedHeaders={listed},Signature={signature}"


def aliyun_rpc_signature(caller: Caller, method: str, parameters: Mapping[str, str]) -> str:
    """RPC signature 1.0 over query parameters and form fields together, all decoded."""
    pairs = "&".join(f"{_percent(name)}={_percent(value)}" for name, value in sorted(parameters.items()))
    to_sign = f"{method}&%2F&{_percent(pairs)}"
    digest = hmac.new(f"{caller.secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _percent(text: str) -> str:
    return quote(text, safe="-_.~")


class AwsSigner:
    """SigV4 by botocore, which every AWS client uses; the body's hash is given, for bodies are sent again."""

    def __init__(self, caller: Caller, *, region: str = "cn-northwest-1") -> None:
        self._signer = SigV4Auth(Credentials(caller.key, caller.secret), "execute-api", region)

    def headers(self, url: str, body_sha256: str, content_type: str) -> dict[str, str]:
        """All headers that the request is to have beside ``Host`` and ``Content-Length``."""
        given = {"Content-Type": content_type, "X-Amz-Content-SHA256": body_sha256}
        request = AWSRequest("POST", url, headers=given)
        self._signer.add_auth(request)
        return {name: str(value) for name, value in request.headers.items()}


def jdcloud_date(now: datetime) -> str:
    """UTC, as JD Cloud and AWS write it."""
    return now.strftime("%Y%m%dT%H%M%SZ")


def aliyun_date(now: datetime) -> str:
    """UTC, as Alibaba Cloud writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
