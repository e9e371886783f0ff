"""The room's door: one path, ``/``; below it, a request's way through the room from top to bottom."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from visavis_proxy.bodies import discard_body
from visavis_proxy.contracts.aliyun import errors
from visavis_proxy.contracts.aliyun.answer import Answers
from visavis_proxy.contracts.aliyun.authentication import authenticate
from visavis_proxy.contracts.aliyun.checks import Picture, check_operation, check_pictures
from visavis_proxy.contracts.aliyun.comparison import Comparison
from visavis_proxy.contracts.aliyun.errors import RAISED, Refusal, fault_of
from visavis_proxy.contracts.aliyun.request import parse
from visavis_proxy.contracts.aliyun.schema import OPERATION, RESPONSES
from visavis_proxy.faults import log_fault
from visavis_proxy.gate import Place
from visavis_proxy.observation import note
from visavis_proxy.results import SUCCESS
from visavis_proxy.services import Services
from visavis_proxy.stages import Stage, during

_log = logging.getLogger(__name__)


def router(services: Services) -> APIRouter:
    """``POST /`` and ``GET /``; the gateway's answer to other methods."""
    room = _Room(services)
    routes = APIRouter(redirect_slashes=False, tags=["Alibaba Cloud CompareFaces"])
    routes.add_api_route(
        "/",
        room.answer,
        methods=["POST"],
        operation_id="aliyun.CompareFaces",
        summary="Compare the largest faces of two pictures",
        responses=RESPONSES,
        openapi_extra=OPERATION,
        response_class=Response,
    )
    routes.routes.append(Route("/", _OtherMethods(room), include_in_schema=False))
    return routes


class _Room:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.aliyun
        self._gate = services.gate
        self._comparison = Comparison(services)

    async def answer(self, request: Request) -> Response:
        answers = Answers()
        try:
            target = await self._target(request)
            async with self._gate.admit(request, max_bytes=self._settings.max_body_bytes, pictures=2) as place:
                deadline = asyncio.get_running_loop().time() + self._settings.answer_within_s
                # No name for what was asked: the texts of pictures are let go of before these are analysed.
                pictures = await self._comparison.load(*await self._asked(request, target, place, answers), place)
                similarity = await self._comparison.similarity(*pictures, deadline)
        except Exception as error:
            return _refuse(request, answers, error)
        note(request.scope, outcome=SUCCESS, request_id=answers.request_id)
        return answers.success(similarity)

    async def _target(self, request: Request) -> str:
        """Path and query as they stood in the request line.

        Raises:
            Refusal: they are too long.
        """
        path: bytes = request.scope["raw_path"]
        query: bytes = request.scope["query_string"]
        target = (path.partition(b"?")[0] + b"?" + query).decode("latin-1")
        if len(target) > self._settings.max_target_bytes:
            await discard_body(request)
            raise Refusal(errors.TOO_LARGE)
        return target

    async def _asked(self, request: Request, target: str, place: Place, answers: Answers) -> tuple[Picture, Picture]:
        """Source and target of a call whose caller may make it; all else of the body is let go of with the call."""
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
        call = parse(request.method, target, headers, place.take_body())
        answers.choose(call.text("Format"))
        if self._settings.require_tls and request.url.scheme != "https":
            raise Refusal(errors.NEED_SSL)
        if call.method not in {"POST", "GET"}:
            raise Refusal(errors.ACTION_NOT_FOUND)
        check_operation(call)
        with during(Stage.VERIFY):
            await authenticate(call, self._services)
        return check_pictures(call)


class _OtherMethods:
    """GET, and the gateway's answer to every method but these two."""

    def __init__(self, room: _Room) -> None:
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._room.answer(Request(scope, receive))
        await response(scope, receive, send)


def _refuse(request: Request, answers: Answers, error: Exception) -> Response:
    # Apart from the frames that the error went through: one that also named the error would hold all their pictures
    # until the next collection.
    refusal = _refusal(error)
    note(request.scope, outcome=refusal.fault.code, request_id=answers.request_id, error=error)
    return answers.failure(refusal)


def _refusal(error: Exception) -> Refusal:
    """The row of the error table for what ended a request."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, tuple(RAISED)):
        refusal = Refusal(fault_of(error))
        if refusal.fault.status >= 500:
            _log.warning("%s: %s", refusal.fault.code, type(error).__name__)
        return refusal
    log_fault(_log, error)
    return Refusal(errors.INTERNAL_ERROR)
