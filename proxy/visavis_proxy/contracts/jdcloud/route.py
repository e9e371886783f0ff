"""The door: ``POST /jdai/faceCompareV1``, and the gateway's answer to everything else below ``/jdai``."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Final

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from visavis_client.comparison import compare
from visavis_client.errors import EngineBusy, TemplatesNotComparable
from visavis_client.faces import Face, PictureAnalysis, Template
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import JDCLOUD
from visavis_proxy.bodies import BodyTooLarge
from visavis_proxy.both import both
from visavis_proxy.contracts.jdcloud.admission import Account, authenticate
from visavis_proxy.contracts.jdcloud.answer import (
    Json,
    Stopwatch,
    business_error_result,
    called,
    comparison_result,
    gateway_error,
    not_called,
)
from visavis_proxy.contracts.jdcloud.checks import compared_faces, open_pictures
from visavis_proxy.contracts.jdcloud.errors import (
    BusinessError,
    GatewayError,
    GatewayStatus,
    JdCloudError,
    SystemCode,
    SystemLevelError,
    translate,
)
from visavis_proxy.contracts.jdcloud.request import read_question
from visavis_proxy.contracts.jdcloud.schema import OPERATION, RESPONSES
from visavis_proxy.contracts.jdcloud.signature import HttpRequest
from visavis_proxy.faults import log_fault
from visavis_proxy.gate import Place
from visavis_proxy.observation import note
from visavis_proxy.paths import below
from visavis_proxy.results import SUCCESS
from visavis_proxy.services import Services
from visavis_proxy.stages import Stage, during

PATH: Final = "/jdai/faceCompareV1"
REQUEST_ID_HEADER: Final = "x-jdcloud-request-id"

_log = logging.getLogger(__name__)


def router(services: Services) -> APIRouter:
    """All addresses of this room."""
    room = _Room(services)
    rooms = APIRouter(redirect_slashes=False, tags=["JD Cloud faceCompareV1"])
    rooms.add_api_route(
        PATH,
        room.face_compare_v1,
        methods=["POST"],
        name="jdcloud_face_compare_v1",
        summary="Compare the largest faces of two pictures",
        responses=RESPONSES,
        openapi_extra=OPERATION,
        response_class=Response,
    )
    for path in below("/jdai"):
        rooms.routes.append(Route(path, _NothingHere(), include_in_schema=False))
    return rooms


class _Room:
    """The story of a call."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.jdcloud
        self._scale = ScoreScale(services.operating_points, JDCLOUD)

    async def face_compare_v1(self, request: Request) -> Response:
        """Answer a request, whatever it holds."""
        call = _Call(request, _new_request_id(), in_body=self._settings.request_id_in_body)
        gate, max_bytes = self._services.gate, self._settings.max_body_bytes
        try:
            async with gate.admit(request, max_bytes=max_bytes, pictures=2) as place:
                return await self._answer(call, place)
        except BodyTooLarge:
            return call.refused(GatewayError(GatewayStatus.OUT_OF_RANGE, f"the body is larger than {max_bytes} bytes"))
        except ClientDisconnect:
            return call.refused(GatewayError(GatewayStatus.CANCELLED, "the body did not arrive"))
        except GatewayError as error:
            return call.refused(error)
        except EngineBusy as error:
            # At the gate: nobody has been proven to call, and nothing is said of anybody's account.
            return call.not_called(SystemCode.BUSY, remain=0, error=error)
        except Exception as error:
            log_fault(_log, error, request_id=call.id)
            return call.refused(GatewayError(GatewayStatus.INTERNAL, "internal error"))

    async def _answer(self, call: _Call, place: Place) -> Response:
        """The envelope; a GatewayError, or an error that nobody expected, goes on to the caller."""
        watch = Stopwatch(self._services.clock)
        with during(Stage.VERIFY):
            account = authenticate(call.as_sent(place.body), self._services)
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                with during(Stage.VERIFY):
                    await account.admit()
                result = await self._compare(place, watch)
                await account.charge()
            return call.called(result, charge=True, remain=account.remain)
        except Exception as error:
            envelope = _told(call, account, watch, error)
            if envelope is None:
                raise
            return envelope

    async def _compare(self, place: Place, watch: Stopwatch) -> Json:
        # No name for the question: its texts are let go of with the body, before the pictures are analysed.
        pictures = open_pictures(read_question(place.take_body()), self._settings)
        probe, reference = await self._analyse(*pictures)
        probe_face, reference_face = compared_faces(probe, reference, self._settings)
        score = self._scale(compare(_template(probe_face), _template(reference_face)))
        return comparison_result(probe, reference, score, self._settings.posture_limits, watch)

    async def _analyse(self, probe: bytes, reference: bytes) -> tuple[PictureAnalysis, PictureAnalysis]:
        """Both at the same time."""
        timeout_s = min(self._services.settings.engine_timeout_s, self._settings.deadline_s)
        analyse = self._services.engine.analyse
        return await both(analyse(probe, timeout_s=timeout_s), analyse(reference, timeout_s=timeout_s))


class _Call:
    """One request: its id, and how its answer is given and noted."""

    def __init__(self, request: Request, request_id: str, *, in_body: bool) -> None:
        """``in_body``: envelopes hold the id, too."""
        self._request = request
        self.id = request_id
        self._shown_id = request_id if in_body else None

    def as_sent(self, body: bytes) -> HttpRequest:
        """What its signature was made over."""
        scope = self._request.scope
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._request.headers.raw]
        return HttpRequest(self._request.method, target.decode("latin-1"), headers, body)

    def called(
        self, result: Json, *, charge: bool, remain: int, outcome: str = SUCCESS, error: Exception | None = None
    ) -> Response:
        """The envelope of a call that was made."""
        note(self._request.scope, outcome=outcome, request_id=self.id, error=error)
        return self._respond(200, called(result, charge=charge, remain=remain, request_id=self._shown_id))

    def not_called(self, code: SystemCode, *, remain: int, error: Exception) -> Response:
        """The envelope of a call that was not made because of ``error``."""
        note(self._request.scope, outcome=code.code, request_id=self.id, error=error)
        return self._respond(200, not_called(code, remain=remain, request_id=self._shown_id))

    def refused(self, error: GatewayError) -> Response:
        """The gateway's own shape."""
        note(self._request.scope, outcome=error.status.name, request_id=self.id)
        return self._respond(int(error.status), gateway_error(error, request_id=self.id))

    def _respond(self, status: int, body: bytes) -> Response:
        return Response(body, status, {REQUEST_ID_HEADER: self.id}, media_type="application/json; charset=utf-8")


class _NothingHere:
    """What the gateway says to a path or a method that it does not know."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _Call(Request(scope), _new_request_id(), in_body=False)
        response = call.refused(GatewayError(GatewayStatus.NOT_FOUND, "there is no such interface"))
        await response(scope, receive, send)


def _told(call: _Call, account: Account, watch: Stopwatch, error: Exception) -> Response | None:
    """The envelope of a call that ended so; None where it is not told in one."""
    # Apart from the frames that the error went through: one that also named the error would hold all their pictures
    # until the next collection.
    refusal = error if isinstance(error, JdCloudError) else translate(error)
    if isinstance(refusal, SystemLevelError):
        return call.not_called(refusal.code, remain=account.remain, error=error)
    if isinstance(refusal, BusinessError):
        result = business_error_result(refusal.code, watch)
        return call.called(result, charge=False, remain=account.remain, outcome=refusal.code.name, error=error)
    return None


def _template(face: Face) -> Template:
    if face.template is None:
        raise TemplatesNotComparable("a compared face without a template")
    return face.template


def _new_request_id() -> str:
    return str(uuid.uuid4())
