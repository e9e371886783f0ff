"""Whatever comes to the app, at any address, by any method, of any size: the room's own error shape, never a 5xx."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from fakes import make_services
from hypothesis import example, given, settings
from hypothesis import strategies as st

from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app

APP = create_app(make_services(FakeEngine({})))
#: The parser of the HTTP server refuses methods that it has never heard of before the app is asked.
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
ANY_METHOD = st.sampled_from(METHODS)
#: The caller's own library takes dots out of a path before it sends it.
SEGMENT = st.text(max_size=8).filter(lambda text: text not in {".", ".."})
SEGMENTS = st.lists(SEGMENT | st.sampled_from(["v3", "compare", "face_comparison"]), max_size=4)


def is_facepp(body: Any) -> bool:
    return list(body) == ["time_used", "error_message", "request_id"]


def is_jdcloud(body: Any) -> bool:
    return list(body) == ["requestId", "error"] and set(body["error"]) >= {"status", "code", "message"}


def is_aliyun(body: Any) -> bool:
    return list(body) == ["RequestId", "HostId", "Code", "Message"]


def is_aws(body: Any) -> bool:
    return list(body) == ["message"]


def is_nobodys(body: Any) -> bool:
    return list(body) == ["detail"]


#: By first segment, with an address of the room and its error shape.
ROOMS: dict[str, Callable[[Any], bool]] = {
    "facepp": is_facepp,
    "jdai": is_jdcloud,
    "": is_aliyun,
    "prod": is_aws,
    "elsewhere": is_nobodys,
}
DOORS = {"facepp": "/facepp/v3/compare", "jdai": "/jdai/faceCompareV1", "": "/", "prod": "/prod/face_comparison"}


def ask(method: str, path: str, **given: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://127.0.0.1") as caller:
            return await caller.request(method, path, **given)

    return asyncio.run(send())


def assert_refused(answer: httpx.Response, room: str, method: str) -> None:
    assert 400 <= answer.status_code < 500
    if method == "HEAD" and not answer.content:
        return
    assert ROOMS[room](answer.json()), answer.text


@pytest.mark.parametrize("room", [room for room in ROOMS if room])
@given(method=ANY_METHOD, segments=SEGMENTS)
@example(method="POST", segments=["\n", "a\nb"])
@settings(max_examples=60, deadline=None)
def test_every_unknown_address_is_answered_in_the_rooms_shape(room: str, method: str, segments: list[str]) -> None:
    """Below the first segment of a room nothing is found but in that room's words; elsewhere, in nobody's."""
    path = "/" + "/".join([room, "nothing", *(quote(segment, safe="") for segment in segments)])
    assert_refused(ask(method, path), room, method)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "POST"])
@pytest.mark.parametrize("room", DOORS)
def test_every_other_method_is_answered_in_the_rooms_shape(room: str, method: str) -> None:
    """No door answers 405 in the framework's words; AWS's preflight alone is a success."""
    answer = ask(method, DOORS[room])
    if (room, method) == ("prod", "OPTIONS"):
        assert answer.status_code == 200
    else:
        assert_refused(answer, room, method)


@pytest.mark.parametrize("room", DOORS)
def test_an_oversized_body_is_answered_in_the_rooms_shape(room: str) -> None:
    """Twelve megabytes are more than any room reads; Face++ alone says so in plain text."""
    answer = ask("POST", DOORS[room], content=bytes(12 * 2**20))
    if room == "facepp":
        assert (answer.status_code, answer.text) == (413, "Request Entity Too Large")
    else:
        assert_refused(answer, room, "POST")


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """The app behind the HTTP server that the workers run."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(APP, http="httptools", ws="none", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize("room", DOORS)
@pytest.mark.parametrize(
    "headers",
    [{"X-Long": "a" * 50_000}, {f"X-{at}": "a" for at in range(90)}, {"Authorization": "\xff" * 20_000}],
    ids=["long", "many", "no text"],
)
def test_huge_headers_are_answered_in_the_rooms_shape(
    room: str, headers: dict[str, str], address: tuple[str, int]
) -> None:
    """No header, however large, makes a fault of a request that lacks all else."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("POST", DOORS[room], b"[]", headers)
    response = connection.getresponse()
    answer = httpx.Response(response.status, content=response.read())
    connection.close()
    if room == "prod":
        assert (answer.status_code, answer.text) == (400, "`parameter `img` illegal")
    else:
        assert_refused(answer, room, "POST")
