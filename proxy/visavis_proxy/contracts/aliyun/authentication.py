"""Who calls, by either signature: missing parameters, clock, key, signature, nonce, permission, rate; in that order.

Nothing is remembered of a request whose signature is not right, so that a forger can burn nobody's nonces or rate.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from visavis_proxy.contracts.aliyun import errors, signature_acs3, signature_rpc
from visavis_proxy.contracts.aliyun.errors import Refusal
from visavis_proxy.contracts.aliyun.request import AcsRequest
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.key_rate import spend
from visavis_proxy.services import Services

_TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"
#: Signatures over more than that are checked in a thread: an ill-willed body costs a tenth of a second a megabyte.
_LARGE_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its caller, not yet believed."""

    key_id: str
    timestamp: str
    nonce: str
    #: Given the key's secret, raises Refusal when the signature is not made with it.
    verify: Callable[[str], None] = field(repr=False)


async def authenticate(request: AcsRequest, services: Services) -> Key:
    """The key that signed the request and may call now.

    Raises:
        Refusal: it may not.
        RateExceeded: not now.
        StateUnavailable: nonces or rates cannot be kept.
    """
    settings = services.settings.aliyun
    claim = read_claim(request)
    check_clock(claim.timestamp, services.clock(), settings.clock_window_s)
    key = services.credentials.find(claim.key_id)
    if key is None:
        raise Refusal(errors.KEY_NOT_FOUND)
    if key.disabled:
        raise Refusal(errors.KEY_INACTIVE)
    if len(request.body) > _LARGE_BODY:
        await asyncio.to_thread(claim.verify, key.secret.get_secret_value())
    else:
        claim.verify(key.secret.get_secret_value())
    # A timestamp may lie a window ahead of us and stays good until a window after that.
    nonce = hashlib.sha256(claim.nonce.encode()).hexdigest()
    if not await services.state.claim_nonce(f"aliyun/{key.id}", nonce, 2 * settings.clock_window_s):
        raise Refusal(errors.NONCE_USED)
    if not key.may_call(Contract.ALIYUN):
        raise Refusal(errors.NO_PERMISSION)
    await spend(key, services.state)
    return key


def read_claim(request: AcsRequest) -> Claim:
    """ACS3 where an Authorization header of that family came, else RPC.

    Raises:
        Refusal: something is missing or malformed.
    """
    if request.header("authorization").startswith("ACS3-"):
        return _acs3_claim(request)
    return _rpc_claim(request)


def check_clock(timestamp: str, now: float, window_s: float) -> None:
    """Compare an ISO timestamp in UTC with ``now``, seconds since the epoch.

    Raises:
        Refusal: not of that form, or more than ``window_s`` away.
    """
    try:
        then = datetime.strptime(timestamp, _TIMESTAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refusal(errors.TIMESTAMP_FORMAT) from None
    if abs(now - then) > window_s:
        raise Refusal(errors.TIMESTAMP_EXPIRED)


def _rpc_claim(request: AcsRequest) -> Claim:
    for name in ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp", "SignatureNonce"):
        if not request.value(name):
            raise Refusal(errors.missing(name))
    if (request.text("SignatureMethod"), request.text("SignatureVersion")) != ("HMAC-SHA1", "1.0"):
        raise Refusal(errors.SIGNATURE_METHOD)

    def verify(secret: str) -> None:
        signed = signature_rpc.string_to_sign(request)
        if not signature_rpc.is_signed_with(secret, request, signed):
            raise Refusal(errors.SIGNATURE_RPC, signed.decode("latin-1"))

    return Claim(request.text("AccessKeyId"), request.text("Timestamp"), request.text("SignatureNonce"), verify)


def _acs3_claim(request: AcsRequest) -> Claim:
    if not request.header("authorization").startswith(f"{signature_acs3.ALGORITHM} "):
        raise Refusal(errors.SIGNATURE_METHOD)
    for header, name in (("x-acs-date", "Timestamp"), ("x-acs-signature-nonce", "SignatureNonce")):
        if not request.header(header):
            raise Refusal(errors.missing(name))
    try:
        authorization = signature_acs3.read_authorization(request)
    except signature_acs3.AuthorizationMalformed:
        raise Refusal(errors.SIGNATURE_INCOMPLETE) from None

    def verify(secret: str) -> None:
        canonical = signature_acs3.canonical_request(request, authorization.signed_headers)
        if not signature_acs3.is_signed_with(secret, request, authorization, canonical):
            signed = signature_acs3.string_to_sign(canonical)
            raise Refusal(errors.SIGNATURE_ACS3, f"[{signed}], server CanonicalRequest is [{canonical}]")

    date, nonce = request.header("x-acs-date"), request.header("x-acs-signature-nonce")
    return Claim(authorization.key_id, date, nonce, verify)
