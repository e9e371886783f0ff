"""RPC signature 1.0, HMAC-SHA1 over the sorted parameters: the acs SDK, and Tea's with ``v2``."""

from __future__ import annotations

import base64
import hmac

from visavis_proxy import percent
from visavis_proxy.contracts.aliyun.request import AcsRequest


def string_to_sign(request: AcsRequest) -> bytes:
    """``METHOD&%2F&`` and the canonical query of all parameters but the signature, percent-encoded once more."""
    signed = (pair for pair in (*request.query, *request.form) if pair[0] != b"Signature")
    # '%3D' and '%26' are the encoded '=' and '&' of the canonical query.
    pairs = (percent.encode_twice(name) + b"%3D" + percent.encode_twice(value) for name, value in sorted(signed))
    return request.method.encode("latin-1") + b"&%2F&" + b"%26".join(pairs)


def is_signed_with(secret: str, request: AcsRequest, signed: bytes) -> bool:
    """Whether ``signed``, the request's string to sign, was signed with that secret."""
    digest = hmac.digest(f"{secret}&".encode(), signed, "sha1")
    return hmac.compare_digest(base64.b64encode(digest), request.value("Signature"))
