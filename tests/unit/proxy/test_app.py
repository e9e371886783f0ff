"""The app around the rooms: who is asked, what is counted and logged, and what happens when a room breaks."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from fakes import FakeState, make_services
from fastapi import APIRouter, FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from visavis_client.errors import EngineBusy
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.app import create_app
from visavis_proxy.bodies import UNREAD
from visavis_proxy.build_info import BuildInfo
from visavis_proxy.credentials import Contract
from visavis_proxy.doors import Doors
from visavis_proxy.metrics import Metrics
from visavis_proxy.observation import note
from visavis_proxy.services import Services
from visavis_proxy.state import StateUnavailable

Handler = Callable[[Request], Awaitable[Response]]


def room_of(handler: Handler) -> Callable[[Services], APIRouter]:
    """A room with one address."""

    def router(_: Services) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route("/room", handler, methods=["POST"])
        return routes

    return router


def app_of(handler: Handler, engine: FakeEngine | None = None) -> FastAPI:
    return create_app(make_services(engine or FakeEngine({})), ((Contract.JDCLOUD, room_of(handler)),))


def ask(app: FastAPI, method: str, path: str, **given: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            return await http.request(method, path, **given)

    return asyncio.run(send())


async def well(request: Request) -> Response:
    return Response(b"{}", media_type="application/json")


@pytest.mark.parametrize(
    ("method", "path", "contract"),
    [
        ("POST", "/facepp/v3/compare", "facepp"),
        ("POST", "/facepp/anything", "facepp"),
        ("POST", "/jdai/faceCompareV1", "jdcloud"),
        ("POST", "/", "aliyun"),
        ("GET", "/?Action=CompareFaces", "aliyun"),
        ("POST", "/prod/face_comparison", "aws"),
        ("POST", "/face-comparison", "aws"),
        ("GET", "/prod/anything", "aws"),
        ("GET", "/health/live", "none"),
        ("GET", "/nowhere", "none"),
    ],
)
def test_every_address_belongs_to_its_room(method: str, path: str, contract: str) -> None:
    """A request is counted for the room that answers it, and none is answered by a fault of the app."""
    app = create_app(make_services(FakeEngine({})))
    assert ask(app, method, path).status_code < 500
    assert f'visavis_requests_total{{contract="{contract}",' in ask(app, "GET", "/metrics").text


def test_unknown_path_outside_every_room_is_404_in_json() -> None:
    """Nobody's path has nobody's shape, and is never redirected."""
    app = create_app(make_services(FakeEngine({})))
    for path in ("/nowhere", "/health/live/", "/docs", "/redoc"):
        answer = ask(app, "GET", path)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Not Found"}


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 503)])
def test_ready_means_the_engine_is(is_ready: bool, status: int) -> None:
    """Ready follows the engine; live does not."""
    app = create_app(make_services(FakeEngine({}, is_ready=is_ready)))
    assert ask(app, "GET", "/health/ready").status_code == status
    assert ask(app, "GET", "/health/live").json() == {"status": "live"}


def test_a_service_that_can_write_no_state_is_not_ready() -> None:
    """As on a full disk, which still lets it read; with the state it is ready again."""

    class Full(FakeState):
        is_full = True

        async def take(self, bucket: str, per_second: float) -> bool:
            if self.is_full:
                raise StateUnavailable("the state's file: database or disk is full")
            return await super().take(bucket, per_second)

    state, now = Full(), [1000.0]
    services = make_services(FakeEngine({}, is_ready=True), clock=lambda: now[0])
    app = create_app(replace(services, state=state))
    answer = ask(app, "GET", "/health/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, "state")
    state.is_full = False
    now[0] += 1
    assert ask(app, "GET", "/health/ready").status_code == 200


def test_questions_without_a_key_cost_little() -> None:
    """Whoever asks within a second is given the same answer, but that the service is leaving is told at once."""
    asked: list[str] = []

    class Engine(FakeEngine):
        async def ready(self) -> bool:
            asked.append("engine")
            return await super().ready()

    class State(FakeState):
        async def take(self, bucket: str, per_second: float) -> bool:
            asked.append("state")
            return await super().take(bucket, per_second)

    services = make_services(Engine({}, is_ready=True), clock=lambda: 1000.0)

    class Counted(Metrics):
        def render(self, build: BuildInfo, *, engine_ready: bool) -> bytes:
            asked.append("numbers")
            return super().render(build, engine_ready=engine_ready)

    app = create_app(replace(services, state=State()), metrics=Counted())
    for path in ("/health/ready", "/metrics") * 3:
        assert ask(app, "GET", path).status_code == 200
    assert sorted(asked) == ["engine", "numbers", "state"]
    app.state.control.is_leaving = True
    assert ask(app, "GET", "/health/ready").status_code == 503


def test_pictures_are_counted_by_what_became_of_them() -> None:
    """The engine's answers and errors are counted by name, and pass unchanged."""
    seen: list[Any] = []

    async def analyses(request: Request) -> Response:
        for _ in range(2):
            engine = services.engine
            try:
                seen.append(await engine.analyse(await request.body()))
            except EngineBusy as error:
                seen.append(error)
        return await well(request)

    services = make_services(FakeEngine({b"good": fake_analysis(fake_face()), b"busy": EngineBusy("full")}))

    def router(given: Services) -> APIRouter:
        nonlocal services
        services = given
        return room_of(analyses)(given)

    app = create_app(services, ((Contract.JDCLOUD, router),))
    ask(app, "POST", "/room", content=b"good")
    ask(app, "POST", "/room", content=b"busy")
    assert seen[0].largest is not None
    assert isinstance(seen[2], EngineBusy)
    numbers = ask(app, "GET", "/metrics").text
    assert 'visavis_engine_duration_seconds_count{outcome="answered"} 2.0' in numbers
    assert 'visavis_engine_duration_seconds_count{outcome="engine_busy"} 2.0' in numbers


def test_log_line_holds_the_rooms_words_and_no_query(caplog: pytest.LogCaptureFixture) -> None:
    """One JSON line a request: contract, status, the noted outcome and id; never the query."""

    async def noted(request: Request) -> Response:
        note(request.scope, outcome="SOME_ERROR", request_id="1-2-3")
        return Response(b"", 403)

    with caplog.at_level(logging.INFO, "visavis.access"):
        ask(app_of(noted), "POST", "/room?api_secret=hidden")
    (line,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "visavis.access"]
    assert line.pop("ms") >= 0
    assert abs(datetime.fromisoformat(line.pop("time")).timestamp() - time.time()) < 60
    assert line == {
        "contract": "jdcloud",
        "method": "POST",
        "path": "/room",
        "status": 403,
        "result": "client_error",
        "outcome": "SOME_ERROR",
        "limit": "none",
        "request_id": "1-2-3",
    }
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("mark", ["?", "%3F", "&", "%26", ";", "/x="])
def test_a_query_that_was_written_into_the_path_is_not_logged(caplog: pytest.LogCaptureFixture, mark: str) -> None:
    """A caller's slip of one character must not put its secret into the log."""
    with caplog.at_level(logging.INFO, "visavis.access"):
        ask(create_app(make_services(FakeEngine({}))), "POST", f"/facepp/v3/compare{mark}hidden=hidden")
    assert '"path": "/facepp/v3/compare' in caplog.text
    assert "hidden" not in caplog.text


def test_a_room_that_breaks_is_answered_500_and_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """Kind and stack of the exception are logged, its text is not: it may repeat what a caller sent."""

    async def broken(request: Request) -> Response:
        sent = (await request.body()).decode()
        raise ValueError(sent) from KeyError(sent)

    answer = ask(app_of(broken), "POST", "/room", content="the caller's secret")
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    assert "builtins.ValueError" in caplog.text
    assert "builtins.KeyError" in caplog.text
    assert "the caller's" not in caplog.text


def test_a_caller_who_is_too_slow_is_told_so_and_cut_off() -> None:
    """ClientDisconnect out of a room ends the connection with 408."""

    async def left(request: Request) -> Response:
        raise ClientDisconnect

    answer = ask(app_of(left), "POST", "/room")
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


def test_an_unread_body_closes_the_connection() -> None:
    """What a room answers above a body that was not read to its end closes the connection; others keep it."""

    async def unread(request: Request) -> Response:
        request.scope[UNREAD] = True
        return Response(b"", 413)

    assert ask(app_of(unread), "POST", "/room").headers["connection"] == "close"
    assert "connection" not in ask(app_of(well), "POST", "/room").headers


def test_the_app_starts_and_closes_what_it_was_given() -> None:
    """The state is started with the app; engine, fetcher and state are closed when the app ends."""
    started: list[str] = []
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str) -> None:
            self._name = name

        async def start(self) -> None:
            started.append(self._name)

        async def close(self) -> None:
            closed.append(self._name)

    parts: dict[str, Any] = {name: Closing(name) for name in ("engine", "fetcher", "state")}
    app = create_app(replace(make_services(FakeEngine({})), **parts), ())

    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert (started, closed) == (["state"], [])

    asyncio.run(live())
    assert sorted(closed) == ["engine", "fetcher", "state"]


def test_a_rooms_operation_is_called_without_a_search_and_gives_what_the_search_gives() -> None:
    """A door is the operation itself: nothing of the router's way to it changes its answer."""

    searched: list[bool] = []

    async def room(request: Request) -> Response:
        searched.append("router" in request.scope)
        return Response(await request.body(), 201, {"x-room": "its own"})

    app = app_of(room)
    (through,) = [each for each in app.user_middleware if each.cls is Doors]
    assert through.kwargs["doors"] == {"/room": room}
    answers = [ask(app, "POST", "/room", content=b"asked")]
    through.kwargs["doors"].clear()
    answers.append(ask(app, "POST", "/room", content=b"asked"))
    assert searched == [False, True]
    assert {(one.status_code, one.text, one.headers["x-room"]) for one in answers} == {(201, "asked", "its own")}
    assert answers[0].headers == answers[1].headers
    assert ask(app, "GET", "/room").status_code == 405


def test_every_operation_of_every_room_has_a_door() -> None:
    app = create_app(make_services(FakeEngine({})))
    (through,) = [each for each in app.user_middleware if each.cls is Doors]
    described = {path for path, methods in app.openapi()["paths"].items() if "post" in methods}
    assert set(through.kwargs["doors"]) == described
