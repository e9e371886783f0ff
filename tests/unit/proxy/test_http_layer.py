"""What clients force on the HTTP layer, over real sockets: the app under uvicorn as a worker runs it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fakes import make_services

from visavis_client.fakes import FakeEngine
from visavis_proxy import bodies
from visavis_proxy.app import create_app
from visavis_proxy.settings import Settings

PATH = "/facepp/v3/compare"
FORM = "Content-Type: application/x-www-form-urlencoded"
TOO_MUCH = 9 * 2**20


def serving(**settings: Any) -> Iterator[tuple[str, int]]:
    """The address of an app with these settings."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(make_services(FakeEngine({}), settings=Settings(**settings)))
    config = uvicorn.Config(app, http="httptools", ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    yield from serving()


@pytest.fixture(scope="module")
def impatient() -> Iterator[tuple[str, int]]:
    """Waits for a body as long as no client should take for one."""
    yield from serving(body_timeout_s=0.2)


class Connection:
    """A caller who counts bytes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=20)
        self._reader = self._socket.makefile("rb")

    def send(self, *lines: str, body: bytes = b"", head: str = f"POST {PATH} HTTP/1.1") -> None:
        self._socket.sendall("\r\n".join((head, "Host: x", *lines, "", "")).encode() + body)

    def send_body(self, body: bytes) -> None:
        self._socket.sendall(body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        status = int(self._reader.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._reader.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._reader.read(int(headers.get("content-length", 0)))

    def is_closed(self) -> bool:
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[Connection]:
    opened = Connection(address)
    yield opened
    opened.close()


def test_a_chunked_body_is_read(connection: Connection) -> None:
    """A body in chunks, cut inside its fields, is one body."""
    chunks = b"5\r\napi_k\r\n4\r\ney=a\r\n0\r\n\r\n"
    connection.send(FORM, "Transfer-Encoding: chunked", body=chunks)
    status, headers, body = connection.answer()
    assert (status, b"MISSING_ARGUMENTS: api_secret" in body) == (400, True)
    assert "transfer-encoding" not in headers


def test_expect_is_answered(connection: Connection) -> None:
    """A caller who asks before it sends is told to go on."""
    connection.send(FORM, "Content-Length: 9", "Expect: 100-continue")
    assert connection.answer()[0] == 100
    connection.send_body(b"api_key=a")
    assert b"MISSING_ARGUMENTS: api_secret" in connection.answer()[2]


def test_a_connection_is_kept(connection: Connection) -> None:
    """Several calls go over one connection, also after refusals."""
    for _ in range(3):
        connection.send(FORM, "Content-Length: 9", body=b"api_key=a")
        assert connection.answer()[0] == 400


@pytest.mark.parametrize("length", [f"Content-Length: {TOO_MUCH}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", [PATH, "/jdai/faceCompareV1", "/", "/facepp/v3/nothing"])
def test_a_refused_body_is_read_to_its_end(connection: Connection, length: str, path: str) -> None:
    """A caller who closes afterwards and sends all before it reads gets its answer, at once and whole."""
    body = bytes(TOO_MUCH)
    if "chunked" in length:
        body = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    begun = time.monotonic()
    connection.send(FORM, length, "Connection: close", head=f"POST {path} HTTP/1.1", body=body)
    status, headers, answer = connection.answer()
    assert 400 <= status < 500
    assert len(answer) == int(headers["content-length"])
    assert connection.is_closed()
    assert time.monotonic() - begun < 5


def test_a_body_without_an_end_is_cut_off(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a bound of bytes the answer comes although the body has not ended, and the connection closes."""
    monkeypatch.setattr(bodies, "DRAIN_BYTES", 2**20)
    connection.send(FORM, f"Content-Length: {2**40}")
    try:
        for _ in range(64):
            connection.send_body(bytes(2**18))
    except (BrokenPipeError, ConnectionResetError):
        return
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert connection.is_closed()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/facepp/v3/compare", 400, b'"BAD_ARGUMENTS: body"'),
        ("/facepp/v3/detect", 400, b'"BAD_ARGUMENTS: body"'),
        ("/jdai/faceCompareV1", 499, b'"CANCELLED"'),
        ("/", 403, b'"InvalidParam.ParamMissing"'),
        ("/prod/face_comparison", 504, b'"Endpoint request timed out"'),
    ],
)
def test_a_body_that_does_not_come_is_not_waited_for(
    impatient: tuple[str, int], path: str, status: int, words: bytes
) -> None:
    """A caller who announces a body and sends a part of it is answered in its contract's words, and cut off."""
    connection = Connection(impatient)
    connection.send(FORM, "Content-Length: 9", head=f"POST {path} HTTP/1.1", body=b"abc")
    said, headers, body = connection.answer()
    assert (said, headers["connection"]) == (status, "close")
    assert words in body
    assert connection.is_closed()
    connection.close()


@pytest.mark.parametrize("path", ["/facepp/v3/compare/", "//", "/health/live/"])
def test_nobody_is_redirected(connection: Connection, path: str) -> None:
    """A path that is nearly right is a wrong one."""
    connection.send(head=f"GET {path} HTTP/1.1")
    status, headers, _ = connection.answer()
    assert (status, "location" in headers) == (404, False)
