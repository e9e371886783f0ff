"""The Authorization header: JDCLOUD2-HMAC-SHA256 and JDCLOUD3-HMAC-SHA256, which differ in nothing but the digit.

Pure functions over a request as it came: no clock, no key store. Texts hold header bytes as latin-1, so that what
is hashed is what was sent.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final
from urllib.parse import quote, unquote_to_bytes

DATE: Final = "x-jdcloud-date"
NONCE: Final = "x-jdcloud-nonce"
SECURITY_TOKEN: Final = "x-jdcloud-security-token"  # noqa: S105 - the header's name
CONTENT_SHA256: Final = "x-jdcloud-content-sha256"
MAX_NONCE_CHARS: Final = 256

#: The document's own sample has no blank after the algorithm.
_AUTHORIZATION: Final = re.compile(
    r"JDCLOUD(?P<version>[23])-HMAC-SHA256\s*"
    r"Credential=(?P<key_id>[^/,\s]+)/(?P<date>[0-9]{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/"
    r"jdcloud(?P=version)_request\s*,\s*SignedHeaders=(?P<signed_headers>[^,\s]+)\s*,\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class SignatureInvalid(Exception):
    """The request proves nothing; the text says which part is at fault and repeats nothing of it."""


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came: names of headers in any case, the target with its query, undecoded."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    @cached_property
    def body_sha256(self) -> str:
        """Hexadecimal; megabytes are hashed once."""
        return hashlib.sha256(self.body).hexdigest()

    def header(self, name: str) -> str | None:
        """The trimmed value; a header that came more than once is joined with commas."""
        values = [value.strip() for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from; nothing of it is proven before :func:`verify`."""

    #: "2" or "3".
    version: str
    key_id: str
    #: date/region/service/request, as signed.
    scope: str
    signed_headers: tuple[str, ...]
    signature: str
    #: As in x-jdcloud-date.
    date_text: str
    date: datetime
    nonce: str


def read_claim(request: HttpRequest, *, jdcloud3_signs_nonce: bool = False) -> Claim:
    """Read the Authorization header and those it depends on.

    Raises:
        SignatureInvalid: one is missing, malformed, or not signed although it must be.
    """
    authorization = request.header("authorization")
    if authorization is None:
        raise SignatureInvalid("the Authorization header is missing")
    parts = _AUTHORIZATION.fullmatch(authorization)
    if parts is None:
        raise SignatureInvalid("the Authorization header is not as documented")
    date_text, date = _read_date(request)
    if date_text[:8] != parts["date"]:
        raise SignatureInvalid(f"the date of the Credential is not that of {DATE}")
    nonce = request.header(NONCE)
    if not nonce or len(nonce) > MAX_NONCE_CHARS:
        raise SignatureInvalid(f"{NONCE} is missing, empty or longer than {MAX_NONCE_CHARS} characters")
    signed = tuple(parts["signed_headers"].lower().split(";"))
    _check_signed(request, signed, nonce_too=parts["version"] == "2" or jdcloud3_signs_nonce)
    scope = f"{parts['date']}/{parts['region']}/{parts['service']}/jdcloud{parts['version']}_request"
    return Claim(parts["version"], parts["key_id"], scope, signed, parts["signature"], date_text, date, nonce)


def verify(request: HttpRequest, claim: Claim, secret: str) -> None:
    """Prove a claim with the key's secret, over the body itself.

    Raises:
        SignatureInvalid: it does not hold.
    """
    told = request.header(CONTENT_SHA256)
    if told is not None and not hmac.compare_digest(told.encode("latin-1"), request.body_sha256.encode()):
        raise SignatureInvalid(f"{CONTENT_SHA256} is not the hash of the body")
    expected = [
        sign(string_to_sign(claim, canonical), claim, secret) for canonical in canonical_requests(request, claim)
    ]
    # Every candidate is compared, whichever fits: how long it takes tells nothing.
    if not any([hmac.compare_digest(candidate, claim.signature) for candidate in expected]):  # noqa: C419
        raise SignatureInvalid("the signature does not match")


def canonical_requests(request: HttpRequest, claim: Claim) -> list[str]:
    """What may have been hashed: the documents encode the query anew, the JDCLOUD2 clients take it as sent."""
    path, _, query = request.target.partition("?")
    headers = "".join(f"{name}:{request.header(name) or ''}\n" for name in claim.signed_headers)
    signed = ";".join(claim.signed_headers)
    queries = dict.fromkeys((canonical_query(query), query_as_sent(query)))
    return ["\n".join((request.method, canonical_uri(path), q, headers, signed, request.body_sha256)) for q in queries]


def string_to_sign(claim: Claim, canonical_request: str) -> str:
    """Algorithm, date, scope and the hash of a canonical request, one a line."""
    digest = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
    return f"JDCLOUD{claim.version}-HMAC-SHA256\n{claim.date_text}\n{claim.scope}\n{digest}"


def sign(text: str, claim: Claim, secret: str) -> str:
    """Hexadecimal signature of a string to sign, with a key derived along the scope."""
    key = f"JDCLOUD{claim.version}{secret}".encode()
    for part in (*claim.scope.split("/"), text):
        key = hmac.new(key, part.encode("latin-1"), hashlib.sha256).digest()
    return key.hex()


def canonical_uri(path: str) -> str:
    """Decoded, without repeated slashes, encoded anew."""
    decoded = re.sub(rb"/+", b"/", unquote_to_bytes(path.encode("latin-1")))
    return quote(decoded or b"/", safe="/~")


def canonical_query(query: str) -> str:
    """Names and values decoded, encoded anew and sorted; a name alone has an empty value."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    return "&".join(f"{name}={value}" for name, value in sorted((_again(n), _again(v)) for n, _, v in pairs))


def query_as_sent(query: str) -> str:
    """Names and values as they stand, sorted."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    return "&".join(f"{name}={value}" for name, value in sorted((n, v) for n, _, v in pairs))


def _again(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ").encode("latin-1")), safe="~")


def _read_date(request: HttpRequest) -> tuple[str, datetime]:
    text = request.header(DATE)
    if text is None:
        raise SignatureInvalid(f"{DATE} is missing")
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return text, datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureInvalid(f"{DATE} is not a time of the form YYYYMMDDTHHMMSSZ") from None


def _check_signed(request: HttpRequest, signed: tuple[str, ...], *, nonce_too: bool) -> None:
    """JDCLOUD3's date needs no header: it stands in the string to sign itself."""
    needed = [DATE, NONCE] if nonce_too else []
    if request.header(SECURITY_TOKEN) is not None:
        needed.append(SECURITY_TOKEN)
    for name in needed:
        if name not in signed:
            raise SignatureInvalid(f"{name} is not among the SignedHeaders")
    for name in signed:
        if request.header(name) is None:
            raise SignatureInvalid("a header of the SignedHeaders is missing")
