"""Sees every request pass: one line of the access log, one count, and the last answer where a room gave none."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis_client.errors import EngineBusy, EngineUnavailable
from visavis_proxy.bodies import UNREAD
from visavis_proxy.faults import log_fault
from visavis_proxy.gate import BodiesFull, InFlightFull
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.metrics import Metrics

_NOTES: Final = "visavis.notes"
#: The label of requests for none of the rooms.
NO_CONTRACT: Final = "none"
#: The label of requests that no limit ended.
NO_LIMIT: Final = "none"
#: The first that fits.
_LIMITS: Final[Mapping[type[Exception], str]] = {
    RateExceeded: "key_rate",
    InFlightFull: "in_flight",
    BodiesFull: "body_bytes",
    EngineBusy: "engine",
    EngineUnavailable: "engine",
}
_LONGEST_PATH: Final = 200

_access = logging.getLogger("visavis.access")
_log = logging.getLogger(__name__)


def note(scope: Scope, *, outcome: str, request_id: str, error: Exception | None = None) -> None:
    """A room's own words for the log and the count: its error code or ``success``, and the id in its answer.

    ``outcome`` is one of few words, never anything that a caller chose. ``error`` is what ended the request: several
    limits may be told to a caller in the same words, and an operator wants to know which it was.
    """
    scope[_NOTES] = (outcome, request_id, limit_of(error))


def limit_of(error: BaseException | None) -> str:
    """Which limit an error tells of, itself or by its causes; NO_LIMIT for none."""
    while error is not None:
        for kind, limit in _LIMITS.items():
            if isinstance(error, kind):
                return limit
        error = error.__cause__
    return NO_LIMIT


class Observation:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, contracts: Mapping[Callable[..., Any], str]) -> None:
        """``contracts``: by endpoint, whose room it belongs to."""
        self._app = app
        self._metrics = metrics
        self._contracts = contracts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        answer = _Answer(scope, send)
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            # Gone, or too slow: then this is what it gets to read.
            scope[UNREAD] = True
            await _last_answer(answer, 408, "Request Timeout")(scope, receive, answer.send)
        except Exception as fault:
            log_fault(_log, fault)
            await _last_answer(answer, 500, "Internal Server Error")(scope, receive, answer.send)
        finally:
            self._record(scope, answer, time.perf_counter() - begun)

    def _record(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        contract = self._contracts.get(scope.get("endpoint"), NO_CONTRACT)  # type: ignore[arg-type]
        outcome, request_id, limit = scope.get(_NOTES, (str(answer.status), None, NO_LIMIT))
        self._metrics.request_answered(contract, answer.status, outcome, limit, seconds)
        if _access.isEnabledFor(logging.INFO):
            line = {
                "contract": contract,
                "method": scope["method"],
                # Without its query, where Face++ and Alibaba Cloud may carry secrets.
                "path": scope["path"][:_LONGEST_PATH],
                "status": answer.status,
                "outcome": outcome,
                "ms": round(seconds * 1000, 1),
                "request_id": request_id,
            }
            _access.info("%s", json.dumps(line))


class _Answer:
    """Watches an answer go out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        #: 499 until an answer begins, as nginx logs a caller who left.
        self.status = 499

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._scope.get(UNREAD):
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await self._send(message)


def _last_answer(answer: _Answer, status: int, text: str) -> ASGIApp:
    """The answer for a request that has none yet; nothing for one whose answer has begun."""
    if answer.status != 499:
        return _nothing
    return Response(orjson.dumps({"detail": text}), status, media_type="application/json")


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An answer that broke off cannot be mended."""
