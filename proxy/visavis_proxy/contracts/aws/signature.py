"""AWS Signature Version 4 in the Authorization header, judged as API Gateway judges it.

Pure functions over the request as it was sent. What is signed is read from the client's own SignedHeaders; the body's
digest is always our own, whatever ``x-amz-content-sha256`` says.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes

from visavis_proxy.contracts.aws.errors import (
    MISSING_AUTHENTICATION_TOKEN,
    SIGNATURE_MISMATCH,
    Refused,
    incomplete_signature,
    invalid_signature,
)

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
TERMINATOR = "aws4_request"
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it came over the wire."""

    method: str
    #: Path and query, percent-encoded as sent.
    target: str
    #: Names in lower case; a name may occur more than once.
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """All values of a header in canonical form: inner blanks collapsed, occurrences joined by commas."""
        values = [" ".join(value.split()) for held, value in self.headers if held == name]
        return ",".join(values) if values else None

    @property
    def is_signed(self) -> bool:
        """Whether it claims to carry a signature of version 4."""
        return (self.header("authorization") or "").startswith("AWS4-")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the Authorization header claims."""

    key_id: str
    day: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        """The credential's scope: where and when its derived key is good."""
        return f"{self.day}/{self.region}/{self.service}/{self.terminator}"


def read_authorization(request: SentRequest) -> Authorization:
    """Take the Authorization header apart.

    Raises:
        Refused: there is none, or it lacks something.
    """
    algorithm, _, rest = (request.header("authorization") or "").partition(" ")
    if not algorithm.startswith("AWS4-"):
        raise Refused(MISSING_AUTHENTICATION_TOKEN)
    if algorithm != ALGORITHM:
        raise Refused(incomplete_signature(f"Unsupported AWS 'algorithm': only {ALGORITHM}."))
    given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not given.get(name)]
    if request.header("x-amz-date") is None:
        missing.append("X-Amz-Date")
    if missing:
        raise Refused(incomplete_signature(" ".join(map(_requires, missing))))
    credential = given["Credential"].rsplit("/", 4)
    if len(credential) != 5:
        raise Refused(incomplete_signature("Credential must have exactly 5 slash-delimited elements."))
    key_id, day, region, service, terminator = credential
    signed_headers = tuple(given["SignedHeaders"].split(";"))
    return Authorization(key_id, day, region, service, terminator, signed_headers, given["Signature"])


def _requires(name: str) -> str:
    if name == "X-Amz-Date":
        return "Authorization header requires existence of a 'X-Amz-Date' header."
    return f"Authorization header requires '{name}' parameter."


def check_claims(authorization: Authorization, request: SentRequest, now_s: float, skew_s: float) -> None:
    """Check what needs no secret: the signed headers, the date, the scope.

    Raises:
        Refused: one of them is not acceptable.
    """
    for name, spelling in (("host", "Host"), ("x-amz-date", "X-Amz-Date")):
        if name not in authorization.signed_headers:
            raise Refused(invalid_signature(f"'{spelling}' must be a 'SignedHeader' in the AWS Authorization."))
    stamp = request.header("x-amz-date") or ""
    _check_clock(stamp, now_s, skew_s)
    if authorization.day != stamp[:8]:
        raise Refused(
            invalid_signature(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
            )
        )
    if authorization.service != SERVICE:
        raise Refused(invalid_signature(f"Credential should be scoped to correct service: '{SERVICE}'."))
    if authorization.terminator != TERMINATOR or not authorization.region:
        raise Refused(invalid_signature(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'."))


def _check_clock(stamp: str, now_s: float, skew_s: float) -> None:
    now, skew = datetime.fromtimestamp(now_s, UTC), timedelta(seconds=skew_s)
    try:
        if not _DATE.fullmatch(stamp):
            raise ValueError(stamp)
        signed_at = datetime.strptime(stamp, _DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise Refused(invalid_signature("Date must be in ISO-8601 'basic format': YYYYMMDD'T'HHMMSS'Z'.")) from None
    if signed_at < now - skew:
        limit = f"{now - skew:{_DATE_FORMAT}} ({now:{_DATE_FORMAT}} - {skew_s / 60:g} min.)"
        raise Refused(invalid_signature(f"Signature expired: {stamp} is now earlier than {limit}"))
    if signed_at > now + skew:
        limit = f"{now + skew:{_DATE_FORMAT}} ({now:{_DATE_FORMAT}} + {skew_s / 60:g} min.)"
        raise Refused(invalid_signature(f"Signature not yet current: {stamp} is still later than {limit}"))


def check_signature(authorization: Authorization, request: SentRequest, secret: str) -> None:
    """Compare, in constant time, with the signature that the secret gives.

    Raises:
        Refused: they differ.
    """
    ours = sign(authorization, request, secret)
    if not hmac.compare_digest(ours.encode(), authorization.signature.encode("utf-8", "surrogatepass")):
        raise Refused(SIGNATURE_MISMATCH)


def sign(authorization: Authorization, request: SentRequest, secret: str) -> str:
    """Hexadecimal signature of the request in the authorization's scope."""
    key = f"AWS4{secret}".encode()
    for part in (authorization.day, authorization.region, authorization.service, authorization.terminator):
        key = _hmac(key, part)
    return _hmac(key, string_to_sign(authorization, request)).hex()


def string_to_sign(authorization: Authorization, request: SentRequest) -> str:
    """Algorithm, date, scope and the digest of the canonical request, a line each."""
    digest = hashlib.sha256(canonical_request(authorization, request).encode("utf-8", "surrogatepass")).hexdigest()
    return "\n".join((ALGORITHM, request.header("x-amz-date") or "", authorization.scope, digest))


def canonical_request(authorization: Authorization, request: SentRequest) -> str:
    """The request in the one spelling that both sides sign."""
    path, _, query = request.target.partition("?")
    # A signed header that was not sent stands empty: its line differs from the client's, and so does the signature.
    headers = "".join(f"{name}:{request.header(name) or ''}\n" for name in authorization.signed_headers)
    return "\n".join(
        (
            request.method,
            # Every service but S3 encodes the encoded path once more.
            quote(path or "/", safe="/-_.~", encoding="latin-1"),
            _canonical_query(query),
            headers,
            ";".join(authorization.signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=")[::2] for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in sorted((_encoded(n), _encoded(v)) for n, v in pairs))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.encode("latin-1")), safe="-_.~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
