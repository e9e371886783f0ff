"""The room's doors: ``POST /facepp/v3/compare``, ``POST /facepp/v3/detect``, and API_NOT_FOUND behind every other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from visavis_client.comparison import compare
from visavis_client.faces import Template
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import FACEPP
from visavis_proxy.bodies import BodyTooLarge, discard_body
from visavis_proxy.both import both
from visavis_proxy.contracts.facepp import errors
from visavis_proxy.contracts.facepp.answer import Answers
from visavis_proxy.contracts.facepp.checks import admit
from visavis_proxy.contracts.facepp.errors import Refusal, refusal_of
from visavis_proxy.contracts.facepp.faces import Faces, LoadedPicture, SeenPicture
from visavis_proxy.contracts.facepp.forms import Fields, FormMalformed, ValuesDiffer, read_fields
from visavis_proxy.contracts.facepp.openapi import COMPARE_OPERATION, DETECT_OPERATION, RESPONSES
from visavis_proxy.contracts.facepp.request import COMPARE, DETECT, names_of, read_picture, read_side
from visavis_proxy.credentials import Key
from visavis_proxy.faults import log_fault
from visavis_proxy.gate import Place
from visavis_proxy.observation import note
from visavis_proxy.paths import below
from visavis_proxy.results import SUCCESS
from visavis_proxy.services import Services
from visavis_proxy.stages import Stage, during

_log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")
#: From a call's fields to its pictures.
Load = Callable[[Fields, Key, Place], Awaitable[Loaded]]
#: From these to the answer. Its last argument is when that is due, by the running loop's clock.
Work = Callable[[Loaded, Key, Answers, float], Awaitable[Response]]
#: What is compared: of either side what its token stands for, or a picture.
Sides = tuple[Template | LoadedPicture, Template | LoadedPicture]

_COMPARE_NAMES = names_of(*COMPARE)
_DETECT_NAMES = names_of(DETECT)


def router(services: Services) -> APIRouter:
    """Everything below ``/facepp``."""
    room = _Room(services)
    routes = APIRouter(redirect_slashes=False, tags=["Face++"])
    for path, answer, summary, operation in (
        ("/facepp/v3/compare", room.compare, "Compare two faces", COMPARE_OPERATION),
        ("/facepp/v3/detect", room.detect, "Find the faces of a picture", DETECT_OPERATION),
    ):
        routes.add_api_route(
            path,
            answer,
            methods=["POST"],
            summary=summary,
            responses=RESPONSES,
            openapi_extra=operation,
            response_class=Response,
        )
    for path in below("/facepp"):
        routes.routes.append(Route(path, _NothingHere(room), include_in_schema=False))
    return routes


class _Room:
    """Answers calls."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.facepp
        self._faces = Faces(services)
        self._confidence = ScoreScale(services.operating_points, FACEPP)

    async def compare(self, request: Request) -> Response:
        """Compare the largest face of either picture, or the faces of tokens."""
        return await self._answer(request, _COMPARE_NAMES, self._load_sides, self._compare, pictures=2)

    async def detect(self, request: Request) -> Response:
        """Find the faces of one picture."""
        return await self._answer(request, _DETECT_NAMES, self._load_picture, self._detect, pictures=1)

    async def _load_sides(self, fields: Fields, key: Key, place: Place) -> Sides:
        first, second = (read_side(fields, names, is_trial=key.tier == "trial") for names in COMPARE)
        with place.aside(when=first.is_remote or second.is_remote):
            return await both(self._faces.load(key, first, place.hold), self._faces.load(key, second, place.hold))

    async def _load_picture(self, fields: Fields, key: Key, place: Place) -> LoadedPicture:
        given = read_picture(fields, DETECT, is_trial=key.tier == "trial")
        with place.aside(when=given.is_remote):
            return await self._faces.load_picture(given, place.hold)

    async def _compare(self, loaded: Sides, key: Key, answers: Answers, deadline: float) -> Response:
        sides = await both(self._faces.see(loaded[0], deadline), self._faces.see(loaded[1], deadline))
        pictures = [(number, side) for number, side in enumerate(sides, 1) if isinstance(side, SeenPicture)]
        tokens = await self._faces.tokens(key, [picture for _, picture in pictures])
        probe, reference = map(_compared, sides)
        confidence = self._confidence(compare(probe, reference)) if probe and reference else None
        return answers.compared(
            confidence, ((number, picture, theirs) for (number, picture), theirs in zip(pictures, tokens, strict=True))
        )

    async def _detect(self, loaded: LoadedPicture, key: Key, answers: Answers, deadline: float) -> Response:
        picture = await self._faces.see_picture(loaded, deadline)
        (tokens,) = await self._faces.tokens(key, [picture])
        return answers.detected(picture, tokens)

    async def _answer(
        self, request: Request, names: frozenset[str], load: Load[Loaded], work: Work[Loaded], *, pictures: int
    ) -> Response:
        answers = Answers.at(self._services.clock())
        gate, max_bytes = self._services.gate, self._settings.max_body_bytes
        try:
            async with (
                gate.admit(request, max_bytes=max_bytes, pictures=pictures) as place,
                asyncio.timeout(self._settings.answer_within_s),
            ):
                deadline = asyncio.get_running_loop().time() + self._settings.answer_within_s
                key, loaded = await self._called(request, names, place, load)
                response = await work(loaded, key, answers, deadline)
        except Exception as error:
            return self._refuse(request, answers, error)
        note(request.scope, outcome=SUCCESS, request_id=answers.request_id)
        return response

    async def _called(
        self, request: Request, names: frozenset[str], place: Place, load: Load[Loaded]
    ) -> tuple[Key, Loaded]:
        """Who calls, and what of: the fields are let go of here, before the engine has the pictures."""
        content_type = request.headers.get("content-type", "")
        fields = read_fields(content_type, request.scope["query_string"], place.take_body(), names)
        with during(Stage.VERIFY):
            key = await admit(fields, self._services)
        return key, await load(fields, key, place)

    def _refuse(self, request: Request, answers: Answers, error: Exception) -> Response:
        # Apart from the frames that the error went through: one that also named the error would hold all their
        # pictures until the next collection.
        refusal = self._refusal(error)
        note(request.scope, outcome=refusal.fault.code, request_id=answers.request_id, error=error)
        return answers.refused(refusal)

    def _refusal(self, error: Exception) -> Refusal:
        match error:
            case Refusal():
                return error
            case BodyTooLarge():
                return Refusal(errors.REQUEST_ENTITY_TOO_LARGE)
            case ClientDisconnect():
                # Read by a caller whose body was too slow; one who left reads nothing.
                return Refusal(errors.BAD_ARGUMENTS, "body")
            case TimeoutError():
                return Refusal(errors.INTERNAL_ERROR)
            case FormMalformed():
                return Refusal(errors.BAD_ARGUMENTS, str(error))
            case ValuesDiffer():
                return Refusal(errors.COEXISTENCE_ARGUMENTS)
        refusal = refusal_of(error)
        if refusal is None:
            log_fault(_log, error)
            return Refusal(errors.INTERNAL_ERROR)
        return refusal

    async def not_found(self, request: Request) -> Response:
        """Every other path and every other method."""
        answers = Answers.at(self._services.clock())
        await discard_body(request)
        note(request.scope, outcome=errors.API_NOT_FOUND.code, request_id=answers.request_id)
        return answers.refused(Refusal(errors.API_NOT_FOUND))


class _NothingHere:
    """An endpoint of every method."""

    def __init__(self, room: _Room) -> None:
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._room.not_found(Request(scope, receive))
        await response(scope, receive, send)


def _compared(side: Template | SeenPicture) -> Template | None:
    """What is compared of a side: "采用数组中的第一个人脸进行人脸比对"."""
    if isinstance(side, Template):
        return side
    return side.faces[0].template if side.faces else None
