"""The workers' HTTP protocol on a real socket, in front of an app that answers everything."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from visavis_server.http_protocol import MAX_HEAD_BYTES, BoundedHeadProtocol


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(PlainTextResponse("well"), http=BoundedHeadProtocol, ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def status(connection: socket.socket) -> int:
    return int(connection.recv(4096).split()[1])


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as opened:
        yield opened


def test_a_head_within_the_bound_is_answered_again_and_again(connection: socket.socket) -> None:
    """Each request of a connection has the whole bound to itself, and its body does not count."""
    head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Long: {'a' * 40_000}\r\nContent-Length: 500000\r\n\r\n".encode()
    for _ in range(3):
        connection.sendall(head + bytes(500_000))
        assert status(connection) == 200


@pytest.mark.parametrize("line", [b"a" * 1000, b"a: b\r\n" * 200], ids=["one header", "many headers"])
def test_a_head_without_an_end_is_refused(connection: socket.socket, line: bytes) -> None:
    """Behind the bound comes 400, and the connection ends; what is still sent is not read."""
    with pytest.raises(ConnectionError):
        send_long(connection, line)


def send_long(connection: socket.socket, line: bytes) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
    for _ in range(1000 * MAX_HEAD_BYTES // len(line)):
        connection.sendall(line)


def test_the_refusal_can_be_read(connection: socket.socket) -> None:
    """A caller who stops sending reads 400 in plain text."""
    connection.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1))
    answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer
