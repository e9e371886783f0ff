"""V3 signature, ACS3-HMAC-SHA256 over chosen headers and the body's hash: what current Tea SDKs send."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from visavis_proxy import percent
from visavis_proxy.contracts.aliyun.request import AcsRequest

ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<key_id>[^,\s]+)\s*,\s*"
    r"SignedHeaders=(?P<names>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)
_ALWAYS_SIGNED = frozenset(
    {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
)


class AuthorizationMalformed(Exception):
    """Not the header's form, or a header that must be signed is not."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """The header's three parts."""

    key_id: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)


def read_authorization(request: AcsRequest) -> Authorization:
    """Read the header and see that it covers what must be signed: host and every ``x-acs-`` header.

    Raises:
        AuthorizationMalformed: see there.
    """
    parts = _AUTHORIZATION.fullmatch(request.header("authorization"))
    if parts is None:
        raise AuthorizationMalformed
    names = tuple(parts["names"].split(";"))
    sent = {name for name, _ in request.headers}
    due = _ALWAYS_SIGNED | {name for name in sent if name.startswith("x-acs-")}
    if len(set(names)) != len(names) or not due <= set(names) <= sent:
        raise AuthorizationMalformed
    return Authorization(parts["key_id"], names, parts["signature"])


def canonical_request(request: AcsRequest, signed_headers: tuple[str, ...]) -> str:
    """Method, path, query, signed headers and the hash of the body that really came."""
    query = "&".join(
        f"{percent.encode(name).decode()}={percent.encode(value).decode()}" for name, value in sorted(request.query)
    )
    headers = "".join(f"{name}:{request.header(name)}\n" for name in signed_headers)
    digest = hashlib.sha256(request.body).hexdigest()
    return "\n".join((request.method, request.path, query, headers, ";".join(signed_headers), digest))


def string_to_sign(canonical: str) -> str:
    """The algorithm's name and the canonical request's hash."""
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode('latin-1')).hexdigest()}"


def is_signed_with(secret: str, request: AcsRequest, authorization: Authorization, canonical: str) -> bool:
    """Whether the canonical request was signed with that secret, and the body is the one announced."""
    expected = hmac.digest(secret.encode(), string_to_sign(canonical).encode(), "sha256").hex()
    body_hash = canonical.rpartition("\n")[2]
    announced = request.header("x-acs-content-sha256").lower()
    is_body_announced = hmac.compare_digest(body_hash.encode(), announced.encode())
    return hmac.compare_digest(expected.encode(), authorization.signature.encode()) and is_body_announced
