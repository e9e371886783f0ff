"""Sees every request pass: one line of the access log, one count, and the last answer where a room gave none."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis_proxy.bodies import UNREAD
from visavis_proxy.faults import log_fault
from visavis_proxy.metrics import Metrics
from visavis_proxy.results import NO_LIMIT, Blame, Result, blame_of, limit_of, result_of
from visavis_proxy.stages import Stage, Stopwatch, begin, start_stopwatch

_NOTES: Final = "visavis.notes"
#: The label of requests for none of the rooms.
NO_CONTRACT: Final = "none"
_LONGEST_PATH: Final = 200
#: Behind one of these a path holds what was meant for a query.
_QUERY_BEGINS: Final = re.compile(r"[?&;=]")

#: Its lines are JSON as they stand.
ACCESS: Final = "visavis.access"
_access = logging.getLogger(ACCESS)
_log = logging.getLogger(__name__)


class _Noted(NamedTuple):
    outcome: str
    request_id: str | None = None
    limit: str = NO_LIMIT
    blame: Blame = Blame.UNKNOWN


def note(scope: Scope, *, outcome: str, request_id: str, error: Exception | None = None) -> None:
    """A room's own words for the log and the count: its error code or ``success``, and the id in its answer.

    ``outcome`` is one of few words, never anything that a caller chose. ``error`` is what ended the request: several
    limits may be told to a caller in the same words, and an operator wants to know which it was.
    """
    scope[_NOTES] = _Noted(outcome, request_id, limit_of(error), blame_of(error))


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
        stopwatch = start_stopwatch()
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
            self._record(scope, answer, stopwatch)

    def _record(self, scope: Scope, answer: _Answer, stopwatch: Stopwatch) -> None:
        seconds = stopwatch.stop()
        contract = self._contracts.get(scope.get("endpoint"), NO_CONTRACT)  # type: ignore[arg-type]
        noted: _Noted = scope.get(_NOTES) or _Noted(str(answer.status))
        result = result_of(scope["method"], answer.status, noted.outcome, noted.limit, noted.blame)
        self._metrics.request_answered(contract, answer.status, noted.outcome, noted.limit, result, seconds)
        if result is Result.ANSWERED and contract != NO_CONTRACT:
            self._metrics.stages_passed(contract, stopwatch.seconds)
        if _access.isEnabledFor(logging.INFO):
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "contract": contract,
                "method": scope["method"],
                # Without its query, where Face++ and Alibaba Cloud may carry secrets.
                "path": _QUERY_BEGINS.split(scope["path"], maxsplit=1)[0][:_LONGEST_PATH],
                "status": answer.status,
                "result": result,
                "outcome": noted.outcome,
                "limit": noted.limit,
                "ms": round(seconds * 1000, 1),
                "request_id": noted.request_id,
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
            begin(Stage.SEND)
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
