"""The door: ``POST /{stage}/face_comparison``, its other spellings, and the gateway's manners around it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from visavis_client.engine import MAX_FACES
from visavis_client.errors import EngineBusy, VisavisError
from visavis_proxy.bodies import BodyTooLarge
from visavis_proxy.contracts.aws.access import admit
from visavis_proxy.contracts.aws.answer import answer
from visavis_proxy.contracts.aws.errors import (
    INTERNAL_SERVER_ERROR,
    MISSING_AUTHENTICATION_TOKEN,
    REQUEST_TOO_LONG,
    TIMED_OUT,
    TOO_MANY_REQUESTS,
    UNSUPPORTED_MEDIA_TYPE,
    ErrorAnswer,
    Refused,
    answer_to,
)
from visavis_proxy.contracts.aws.request import obtain_picture, read_question
from visavis_proxy.contracts.aws.schema import OPERATION, RESPONSES
from visavis_proxy.faults import log_fault
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.observation import note
from visavis_proxy.paths import below
from visavis_proxy.results import SUCCESS
from visavis_proxy.services import Services
from visavis_proxy.stages import Stage, during
from visavis_proxy.state import StateUnavailable

#: The document's spelling, the deployed one, and that of the SageMaker flavour.
ENDPOINTS: Final = ("face_comparison", "face-comparison", "face-comparison-ml")
SAGEMAKER: Final = "face-comparison-ml"

#: On every answer, so that a page of any origin can read it.
CORS: Final = {
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "*",
}
#: On the preflight's answer; "OPTION" is the vendor's.
PREFLIGHT: Final = {
    "Access-Control-Allow-Headers": "Content-Type,X-Amz-Date,Authorization,X-Api-Key",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST,OPTION",
    "Access-Control-Allow-Credentials": "true",
}

_log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


def router(services: Services) -> APIRouter:
    """All addresses of this room.

    Of other addresses it takes only those below its stages, and those that end in one of its endpoints.
    """
    rooms = APIRouter(redirect_slashes=False, tags=["AWS FaceComparison"])
    nothing_here = _NothingHere()
    prefixes = ["", *(f"/{stage}" for stage in services.settings.aws.stages)]
    for prefix in prefixes:
        for endpoint in ENDPOINTS:
            _add_endpoint(rooms, f"{prefix}/{endpoint}", _face_comparison(services, endpoint))
    for endpoint in ENDPOINTS:
        for path in (f"/{endpoint}", f"/{{stage}}/{endpoint}"):
            rooms.routes.append(Route(path, nothing_here, include_in_schema=False))
    for stage in prefixes[1:]:
        for path in below(stage):
            rooms.routes.append(Route(path, nothing_here, include_in_schema=False))
    return rooms


def _add_endpoint(rooms: APIRouter, path: str, handler: Handler) -> None:
    documentation: dict[str, Any] = {
        # By path: one operation under several addresses.
        "operation_id": f"aws{path}",
        "summary": "Find the faces of one picture and give their vectors",
        "responses": RESPONSES,
        "openapi_extra": OPERATION,
        "response_class": Response,
    }
    rooms.add_api_route(path, handler, methods=["POST"], **documentation)
    rooms.add_api_route(path, _preflight, methods=["OPTIONS"], include_in_schema=False)


def _face_comparison(services: Services, endpoint: str) -> Handler:
    async def face_comparison(request: Request) -> Response:
        try:
            return _respond(request.scope, 200, await _compare(request, services, endpoint), outcome=SUCCESS)
        except Exception as error:
            return _refuse(request.scope, _refusal(error), error)

    return face_comparison


async def _compare(request: Request, services: Services, endpoint: str) -> bytes:
    """The whole story of a call; the caller's own cosine of two such answers is the comparison."""
    settings = services.settings.aws
    async with (
        services.gate.admit(request, max_bytes=settings.max_body_bytes, pictures=1) as place,
        asyncio.timeout(settings.answer_within_s),
    ):
        with during(Stage.VERIFY):
            await admit(request, place.body, services)
        if endpoint == SAGEMAKER and not _is_json(request):
            raise Refused(UNSUPPORTED_MEDIA_TYPE)
        question = read_question(place.take_body())
        with place.aside(when=question.is_remote):
            picture = await obtain_picture(question, services.fetcher, settings, place.hold)
        try:
            analysis = await services.engine.analyse(picture, max_faces=MAX_FACES)
            return answer(analysis, settings)
        except VisavisError as error:
            raise Refused(answer_to(error, question.parameter)) from error


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def _preflight() -> Response:
    return Response(headers=PREFLIGHT)


class _NothingHere:
    """What the gateway says to a path or a method that it does not know."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _refuse(scope, MISSING_AUTHENTICATION_TOKEN)(scope, receive, send)


def _refusal(error: Exception) -> ErrorAnswer:
    """What is answered to a request that ended so."""
    match error:
        case Refused():
            return error.answer
        case BodyTooLarge():
            return REQUEST_TOO_LONG
        case EngineBusy() | RateExceeded():
            return TOO_MANY_REQUESTS
        case TimeoutError() | ClientDisconnect():
            # The latter is read by a caller whose body was too slow; one who left reads nothing.
            return TIMED_OUT
        case StateUnavailable():
            return INTERNAL_SERVER_ERROR
    # What the gateway says when the function behind it crashes.
    log_fault(_log, error)
    return INTERNAL_SERVER_ERROR


def _refuse(scope: Scope, refusal: ErrorAnswer, error: Exception | None = None) -> Response:
    named = {"x-amzn-ErrorType": refusal.error_type} if refusal.error_type else {}
    outcome = refusal.error_type or refusal.body
    return _respond(scope, refusal.status, refusal.body.encode(), named, outcome=outcome, error=error)


def _respond(
    scope: Scope,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    outcome: str,
    error: Exception | None = None,
) -> Response:
    request_id = str(uuid.uuid4())
    note(scope, outcome=outcome, request_id=request_id, error=error)
    named = {**CORS, "x-amzn-RequestId": request_id, **(headers or {})}
    return Response(body, status, named, media_type="application/json")
