"""Everything this room refuses, and the exact bytes of each refusal.

The document names no error. The solution's own code answers 400 with bare text that is nevertheless labelled
``application/json``; the gateway in front of it answers ``{"message": …}`` with the header ``x-amzn-ErrorType``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from visavis_client.errors import (
    EngineBusy,
    EngineFault,
    EngineTimeout,
    EngineUnavailable,
    PictureTooLarge,
    PictureUnreadable,
    RegionInvalid,
    TemplatesNotComparable,
    VisavisError,
)

#: The request parameter that brought the picture.
Parameter = Literal["url", "img"]


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """One refusal as it goes over the wire."""

    status: int
    body: str
    #: Only the gateway names its errors.
    error_type: str | None = None


class Refused(Exception):
    """The request ends here, with this answer."""

    def __init__(self, answer: ErrorAnswer) -> None:
        super().__init__(answer.body)
        self.answer = answer


def _gateway(status: int, error_type: str, message: str) -> ErrorAnswer:
    return ErrorAnswer(status, json.dumps({"message": message}), f"{error_type}Exception")


# The function's own answers, in the order in which it checks.

UNSUPPORTED_MEDIA_TYPE = ErrorAnswer(415, "Only supports application/json data")
INVALID_PARAM = ErrorAnswer(400, "invalid param")
BOTH_PARAMETERS = ErrorAnswer(400, "`url` and `img` cannot be used at the same time")


def illegal(parameter: Parameter) -> ErrorAnswer:
    """The picture cannot be had or used; the unbalanced back-quotes are the vendor's."""
    return ErrorAnswer(400, f"`parameter `{parameter}` illegal")


# The gateway's answers.

MISSING_AUTHENTICATION_TOKEN = _gateway(403, "MissingAuthenticationToken", "Missing Authentication Token")
UNKNOWN_KEY = _gateway(403, "UnrecognizedClient", "The security token included in the request is invalid.")
SIGNATURE_MISMATCH = _gateway(
    403,
    "InvalidSignature",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.",
)
REQUEST_TOO_LONG = _gateway(413, "RequestTooLarge", "Request Too Long")
TOO_MANY_REQUESTS = _gateway(429, "TooManyRequests", "Too Many Requests")
INTERNAL_SERVER_ERROR = _gateway(502, "InternalServerError", "Internal server error")
TIMED_OUT = _gateway(504, "InternalServerError", "Endpoint request timed out")


def incomplete_signature(message: str) -> ErrorAnswer:
    """The Authorization header is not one of Signature Version 4."""
    return _gateway(403, "IncompleteSignature", message)


def invalid_signature(message: str) -> ErrorAnswer:
    """A signature whose date, scope or signed headers are not acceptable."""
    return _gateway(403, "InvalidSignature", message)


#: What each leaf of ``visavis_client.errors`` becomes, given the parameter that brought the picture.
ENGINE_ANSWERS: Mapping[type[VisavisError], Callable[[Parameter], ErrorAnswer]] = {
    PictureUnreadable: illegal,
    PictureTooLarge: illegal,
    EngineBusy: lambda _: TOO_MANY_REQUESTS,
    # It restarts within seconds, and clients wait and retry a 429 by themselves.
    EngineUnavailable: lambda _: TOO_MANY_REQUESTS,
    EngineTimeout: lambda _: TIMED_OUT,
    EngineFault: lambda _: INTERNAL_SERVER_ERROR,
    # This room asks for no region and compares nothing: only a fault of ours could bring these here.
    RegionInvalid: lambda _: INTERNAL_SERVER_ERROR,
    TemplatesNotComparable: lambda _: INTERNAL_SERVER_ERROR,
}


def answer_to(error: VisavisError, parameter: Parameter) -> ErrorAnswer:
    """The row of the table for an error or for what it is derived from."""
    for kind in type(error).__mro__:
        if kind in ENGINE_ANSWERS:
            return ENGINE_ANSWERS[kind](parameter)
    return INTERNAL_SERVER_ERROR
