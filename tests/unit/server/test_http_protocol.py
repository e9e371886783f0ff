"""The workers' HTTP protocol on a real socket, in front of an app that answers everything."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from visavis_proxy.connection import of_connection
from visavis_server.http_protocol import MAX_HEAD_BYTES, MAX_WAITING, BoundedHeadProtocol


class HastyProtocol(BoundedHeadProtocol):
    """Does not wait long for a head."""

    head_within_s = 0.4


class BriskProtocol(BoundedHeadProtocol):
    """Waits for a head that takes a moment."""

    head_within_s = 1.5


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the method and the length of the body."""
    if scope["type"] == "lifespan":
        return
    request = Request(scope, receive)
    length = len(await request.body())
    seen = of_connection(scope)
    seen["requests"] = seen.get("requests", 0) + 1
    headers = {"x-requests": str(seen["requests"])}
    await PlainTextResponse(f"{request.method} {length}", headers=headers)(scope, receive, send)


@contextmanager
def served(protocol: type[BoundedHeadProtocol], *, timeout_keep_alive: int = 5) -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_echo, http=protocol, ws="none", log_config=None, timeout_keep_alive=timeout_keep_alive)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with served(BoundedHeadProtocol) as found:
        yield found


@pytest.fixture(scope="module")
def hasty_address() -> Iterator[tuple[str, int]]:
    with served(HastyProtocol, timeout_keep_alive=60) as found:
        yield found


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


GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def impatient(hasty_address: tuple[str, int]) -> Iterator[socket.socket]:
    """A connection to a server that keeps an idle one for a minute, and waits 0.4 s for the end of a head."""
    with socket.create_connection(hasty_address, timeout=10) as opened:
        yield opened


def is_closed_soon(connection: socket.socket, drip: bytes = b"") -> bool:
    """Whether the server closes a connection that sends ``drip`` ten times a second, or nothing, in half a minute."""
    begun = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - begun < 30:
        try:
            connection.sendall(drip)
            assert connection.recv(4096) == b""
            return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


@pytest.mark.parametrize("requests", [0, 1, 3])
def test_an_idle_connection_is_kept_for_the_given_time(requests: int) -> None:
    """Whether it has sent a request or none, so that whoever opens connections in advance may."""
    with served(HastyProtocol, timeout_keep_alive=2) as address:
        begun = time.monotonic()
        with socket.create_connection(address, timeout=10) as connection:
            for _ in range(requests):
                begun = time.monotonic()
                connection.sendall(GOOD)
                assert status(connection) == 200
            assert is_closed_soon(connection)
            assert time.monotonic() - begun > 1.5


@pytest.mark.parametrize("drip", [b"a", b"\r\n"], ids=["a head's bytes", "line ends"])
@pytest.mark.parametrize("requests", [0, 1])
def test_a_head_that_comes_byte_by_byte_has_its_time(impatient: socket.socket, requests: int, drip: bytes) -> None:
    """From its first byte, on a new connection and after an answer; each byte earns no further time."""
    for _ in range(requests):
        impatient.sendall(GOOD)
        assert status(impatient) == 200
    impatient.sendall(b"\r\n" if drip == b"\r\n" else b"GET / HTTP/1.1\r\nX-Long: ")
    assert is_closed_soon(impatient, drip)


def test_a_body_takes_longer_than_a_head_may() -> None:
    """The head's time is over with its end; the next head has all of it again."""
    with served(BriskProtocol) as address, socket.create_connection(address, timeout=10) as connection:
        for pause_s in (0.6, 0.0):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
            time.sleep(0.2)
            connection.sendall(b"Content-Length: 3\r\n\r\n")
            for byte in (b"1", b"2", b"3"):
                time.sleep(pause_s)
                connection.sendall(byte)
            assert status(connection) == 200


def _until_closed(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


_OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 9])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_offer_to_upgrade_is_ignored_and_the_body_read(connection: socket.socket, pieces: int, framing: str) -> None:
    """Once answered, however the bytes are cut: a body that looks like a request is none."""
    inner = b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
    body, said = inner, b"Content-Length: %d\r\n" % len(inner)
    if framing == "chunked":
        body, said = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner), b"Transfer-Encoding: chunked\r\n"
    whole = b"POST /outer HTTP/1.1\r\nHost: x\r\n" + _OFFER + said + b"\r\n" + body
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    step = -(-len(whole) // pieces)
    for start in range(0, len(whole), step):
        connection.sendall(whole[start : start + step])
        time.sleep(0.01)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    received = _until_closed(connection)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert f"POST {len(inner)}".encode() in received
    assert received.endswith(b"GET 0")


def test_an_offer_to_speak_websocket_is_ignored_too(connection: socket.socket) -> None:
    """It is a plain GET."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert status(connection) == 200


def test_nobody_is_connected_elsewhere(connection: socket.socket) -> None:
    """CONNECT is refused, and ends the connection."""
    connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
    assert _until_closed(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "tail", [b"0\r\n" + b"X-a: b\r\n" * 100_000, b"0\r\nX-a: " + b"b" * 1_000_000, b"5;" + b"e" * 1_000_000]
)
def test_what_stands_around_chunks_has_a_bound(connection: socket.socket, tail: bytes) -> None:
    """Trailers without an end, one endless trailer, an endless extension: refused, not kept in memory."""
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    with pytest.raises(ConnectionError):
        connection.sendall(tail * 100)


def test_short_chunks_and_short_trailers_are_read(connection: socket.socket) -> None:
    """A byte in each chunk is legal, and so is a trailer."""
    chunks = b"1\r\na\r\n" * 100_000 + b"0\r\nX-Checksum: 1\r\n\r\n"
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert b"POST 100000" in connection.recv(4096)


def test_a_long_body_with_a_request_behind_it_is_no_long_head(connection: socket.socket) -> None:
    """Pipelined: the end of one body and the beginning of the next head come in one read."""
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)
    head, rest = one[:20], one[20:]
    connection.sendall(one + head)
    time.sleep(0.05)
    connection.sendall(rest)
    received = b""
    while received.count(b"POST 200000") < 2:
        piece = connection.recv(65536)
        assert piece
        received += piece
    assert b" 400 " not in received


def test_some_requests_may_wait_for_their_turn(connection: socket.socket) -> None:
    """Pipelined, a few are answered in order."""
    connection.sendall(GOOD * 5 + GOOD.replace(b"Host", b"Connection: close\r\nHost"))
    assert _until_closed(connection).count(b"HTTP/1.1 200 OK") == 6


@pytest.mark.parametrize("one", [GOOD, GOOD.replace(b"Host", b"Connection: upgrade\r\nUpgrade: h2c\r\nHost")])
def test_a_flood_of_requests_ends_the_connection(connection: socket.socket, one: bytes) -> None:
    """Thousands in one read would each be made ready, before anybody is asked for a key."""
    begun = time.process_time()
    with suppress(ConnectionError):
        connection.sendall(one * 5000)
        assert _until_closed(connection).count(b"HTTP/1.1 200 OK") <= MAX_WAITING + 1
    assert time.process_time() - begun < 5


def test_what_is_known_of_a_connection_is_known_to_all_its_requests(address: tuple[str, int]) -> None:
    """And to no other connection's."""
    for _ in range(2):
        with socket.create_connection(address, timeout=10) as connection:
            for number in (b"1", b"2"):
                connection.sendall(GOOD)
                assert b"x-requests: " + number in connection.recv(4096)
