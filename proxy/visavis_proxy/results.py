"""How a request ended, in few words that all contracts share: what an operator adds up, draws and is woken by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from starlette.requests import ClientDisconnect

from visavis_client.errors import (
    EngineBusy,
    EngineError,
    EngineUnavailable,
    PictureTooLarge,
    PictureUnreadable,
    TemplatesNotComparable,
)
from visavis_proxy.fetch import FetchError
from visavis_proxy.gate import BodiesFull, InFlightFull
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.state import StateUnavailable

#: The outcome that a room notes for a call that it answered as asked.
SUCCESS: Final = "success"
#: The label of requests that no limit ended.
NO_LIMIT: Final = "none"
#: The first that fits.
LIMITS: Final[Mapping[type[Exception], str]] = {
    RateExceeded: "key_rate",
    InFlightFull: "in_flight",
    BodiesFull: "body_bytes",
    EngineBusy: "engine",
    EngineUnavailable: "engine",
}
#: Ends the search among causes: a time-out behind one of these is the caller's address that did not answer.
_CALLERS: Final = (FetchError, PictureUnreadable, PictureTooLarge, ClientDisconnect)
_OURS: Final = (EngineError, TemplatesNotComparable, StateUnavailable, TimeoutError)


class Result(StrEnum):
    """Told apart because each has durations of its own: a refusal takes a millisecond."""

    ANSWERED = "answered"
    #: By a limit: the same request may be answered later.
    REFUSED = "refused"
    #: The request, the key or the picture is at fault.
    CLIENT_ERROR = "client_error"
    #: The service is at fault, or what it stands on.
    ERROR = "error"
    #: A browser's question before its call.
    PREFLIGHT = "preflight"


class Blame(StrEnum):
    """Whose fault an error is."""

    CALLER = "caller"
    SERVICE = "service"
    #: Only the answer's status can tell.
    UNKNOWN = "unknown"


def limit_of(error: BaseException | None) -> str:
    """Which limit an error tells of, itself or by its causes; NO_LIMIT for none."""
    while error is not None:
        for kind, limit in LIMITS.items():
            if isinstance(error, kind):
                return limit
        error = error.__cause__
    return NO_LIMIT


def blame_of(error: BaseException | None) -> Blame:
    """Whose fault an error is, by its own kind or the first of its causes that tells."""
    while error is not None:
        if isinstance(error, _CALLERS):
            return Blame.CALLER
        if isinstance(error, _OURS):
            return Blame.SERVICE
        error = error.__cause__
    return Blame.UNKNOWN


def result_of(method: str, status: int, outcome: str, limit: str, blame: Blame) -> Result:
    """The result of a request; a contract may answer 200 to a failure, so that the status alone says little."""
    if outcome == SUCCESS:
        return Result.ANSWERED
    if limit != NO_LIMIT:
        return Result.REFUSED
    if blame is not Blame.UNKNOWN:
        return Result.ERROR if blame is Blame.SERVICE else Result.CLIENT_ERROR
    if status >= 500:
        return Result.ERROR
    if status >= 400 or outcome != str(status):
        return Result.CLIENT_ERROR
    return Result.PREFLIGHT if method == "OPTIONS" else Result.ANSWERED
