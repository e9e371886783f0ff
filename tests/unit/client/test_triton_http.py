"""Whatever a Triton says by HTTP, or fails to say, becomes an analysis or one leaf of the error tree."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import numpy as np
import orjson
import pytest
import uvloop

from visavis_client import errors
from visavis_client.faces import BoundingBox, ModelIdentity
from visavis_client.http_connection import HttpConnection
from visavis_client.opening import open_engine
from visavis_client.triton import TritonEngine
from visavis_client.triton_http import TritonHttpEngine
from visavis_client.triton_tensors import contents_of

MODEL = ModelIdentity("test-1")
Result = TypeVar("Result")
#: Writes an answer to a request of that head and body.
Writer = Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]]


def tensors(faces: int = 1) -> dict[str, np.ndarray]:
    return {
        "face_count": np.array([faces, faces], np.int32),
        "image_size": np.array([640, 480], np.int32),
        "embeddings": np.array([[3, 4]], np.float32),
        "boxes": np.array([[1, 2, 30, 40]], np.float32),
        "landmarks": np.zeros((1, 5, 2), np.float32),
        "detection_scores": np.array([0.75], np.float32),
        "pose": np.zeros((1, 3), np.float32),
        "sharpness": np.array([0.25], np.float32),
    }


def response(body: bytes, status: str = "200 OK", **headers: object) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def analysed(faces: int = 1, **headers: object) -> bytes:
    rows = tensors(faces)
    listed = [
        {"name": name, "shape": value.shape, "parameters": {"binary_data_size": value.nbytes}}
        for name, value in rows.items()
    ]
    head = orjson.dumps({"outputs": listed})
    body = head + b"".join(value.tobytes() for value in rows.values())
    return response(body, Inference_Header_Content_Length=len(head), **headers)


def refused(text: str, status: str) -> bytes:
    return response(orjson.dumps({"error": text}), status)


class Server:
    """Hands whole requests to a writer; counts connections."""

    def __init__(self, write: Writer) -> None:
        self._write = write
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                body = await reader.readexactly(int(fields.get(b"Content-Length", b"0")))
                await self._write(head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def ask(server: Server, work: Callable[[TritonHttpEngine], Awaitable[Result]], *, oldest_s: float = 60.0) -> Result:
    async def main() -> Result:
        async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            engine = TritonHttpEngine(f"http://127.0.0.1:{port}", model=MODEL, timeout_s=2, oldest_s=oldest_s)
            try:
                return await asyncio.wait_for(work(engine), 30)
            finally:
                await engine.close()

    return asyncio.run(main())


def saying(*answers: bytes) -> Server:
    """Gives one answer after the other, the last for ever."""
    left = list(answers)

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return Server(write)


def test_a_request_holds_the_picture_as_it_came_behind_what_it_says_of_it() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append((head, body))
        writer.write(analysed())

    region = BoundingBox(1.4, 2.6, 10, 20)
    analysis = ask(Server(write), lambda engine: engine.analyse(b"picture", max_faces=3, region=region, timeout_s=5))
    ((head, body),) = seen
    assert head.startswith(b"POST /v2/models/face_analysis/infer HTTP/1.1\r\nHost: 127.0.0.1:")
    size = int(head.partition(b"Inference-Header-Content-Length: ")[2].partition(b"\r\n")[0])
    question = orjson.loads(body[:size])
    assert question["parameters"] == {"timeout": 5_000_000, "binary_data_output": True}
    assert [(each["name"], each["parameters"]["binary_data_size"]) for each in question["inputs"]] == [
        ("image", 11),
        ("max_faces", 4),
        ("region", 16),
    ]
    assert body[size:] == b"\x07\0\0\0picture" + np.array([3, 1, 3, 10, 20], "<i4").tobytes()
    (face,) = analysis.faces
    assert face.box == BoundingBox(1, 2, 30, 40)
    assert face.template is not None
    assert face.template.embedding().tolist() == pytest.approx([3, 4])


@pytest.mark.parametrize(
    ("answer", "leaf"),
    [
        (refused("in ensemble 'face_analysis', picture_unreadable: x", "400 Bad Request"), errors.PictureUnreadable),
        (refused("in ensemble 'face_analysis', picture_too_large: x", "400 Bad Request"), errors.PictureTooLarge),
        (refused("in ensemble 'face_analysis', region_invalid: x", "400 Bad Request"), errors.RegionInvalid),
        (refused("Request timeout expired", "503 Service Unavailable"), errors.EngineTimeout),
        (refused("Exceeds maximum queue size", "503 Service Unavailable"), errors.EngineBusy),
        (
            refused("in ensemble 'face_analysis', Stub process 'a_0_0' is not healthy.", "500 Internal Server Error"),
            errors.EngineUnavailable,
        ),
        (refused("the server is shutting down", "503 Service Unavailable"), errors.EngineUnavailable),
        (refused("Request for unknown model", "404 Not Found"), errors.EngineUnavailable),
        (refused("something else", "500 Internal Server Error"), errors.EngineFault),
        (response(b"<html>", "502 Bad Gateway"), errors.EngineFault),
        (response(b"[]", "400 Bad Request"), errors.EngineFault),
        (response(b"{}"), errors.EngineFault),
        (response(b"{}", Inference_Header_Content_Length=2), errors.EngineFault),
        (response(b"{}", Inference_Header_Content_Length="two"), errors.EngineFault),
        (analysed(faces=2), errors.EngineFault),
        (analysed()[:-1], errors.EngineTimeout),
        (b"SSH-2.0-OpenSSH\r\n", errors.EngineUnavailable),
        (b"", errors.EngineTimeout),
    ],
)
def test_every_answer_has_its_leaf(answer: bytes, leaf: type[errors.VisavisError]) -> None:
    # Time enough for those that come.
    timeout_s = 0.3 if leaf is errors.EngineTimeout else 10
    with pytest.raises(errors.VisavisError) as raised:
        ask(saying(answer), lambda engine: engine.analyse(b"x", timeout_s=timeout_s))
    assert type(raised.value) is leaf


def test_a_connection_that_breaks_is_unavailable_and_the_next_request_gets_another() -> None:
    broken = [True, False]

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if broken.pop(0):
            writer.write(analysed()[:100])
            writer.close()
        else:
            writer.write(analysed())

    async def again(engine: TritonHttpEngine) -> int:
        with pytest.raises(errors.EngineUnavailable):
            await engine.analyse(b"x")
        return len((await engine.analyse(b"x")).faces)

    server = Server(write)
    assert ask(server, again) == 1
    assert server.connections == 2


class Breaking:
    """Answers the first request, and breaks under later ones, each after so many bytes of the answer."""

    def __init__(self, *after: int) -> None:
        self._after = [None, *after]

    async def __call__(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        after = self._after.pop(0) if self._after else None
        writer.write(analysed()[:after])
        if after is not None:
            writer.close()


async def twice(engine: TritonHttpEngine) -> int:
    await engine.analyse(b"x")
    return len((await engine.analyse(b"x")).faces)


def test_a_kept_connection_that_is_closed_under_a_request_is_replaced_by_a_fresh_one() -> None:
    """Nothing of an answer had come, and an analysis may be asked for twice."""
    server = Server(Breaking(0))
    assert ask(server, twice) == 1
    assert server.connections == 2


@pytest.mark.parametrize(("after", "connections"), [((0, 0, 0), 2), ((1,), 1)])
def test_a_request_is_sent_again_once_and_only_if_nothing_was_answered(
    after: tuple[int, ...], connections: int
) -> None:
    """Not where the fresh connection breaks as well, and not where a byte of the answer had come."""
    server = Server(Breaking(*after))
    with pytest.raises(errors.EngineUnavailable):
        ask(server, twice)
    assert server.connections == connections


def test_a_fresh_connection_that_breaks_is_not_replaced() -> None:
    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = Server(write)
    with pytest.raises(errors.EngineUnavailable):
        ask(server, lambda engine: engine.analyse(b"x"))
    assert server.connections == 1


def test_both_attempts_have_one_deadline_together() -> None:
    """The kept connection breaks at half of it, the fresh one is silent: the end comes at two halves."""
    answered = 0

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        if answered == 1:
            writer.write(analysed())
        elif answered == 2:
            await asyncio.sleep(1.25)
            writer.close()

    async def timed(engine: TritonHttpEngine) -> float:
        await engine.analyse(b"x")
        begun = time.monotonic()
        with pytest.raises(errors.EngineTimeout):
            await engine.analyse(b"x", timeout_s=2.5)
        return time.monotonic() - begun

    server = Server(write)
    assert 2.45 < ask(server, timed) < 3.7
    assert (server.connections, answered) == (2, 3)


def test_a_deadline_in_the_turn_of_the_answer_leaves_the_connection_to_the_next_one() -> None:
    """Who gave up must not cut off who has the connection by then."""

    async def main() -> None:
        idle: list[HttpConnection] = []
        connection, transport = HttpConnection(idle, set()), Wire()
        connection.connection_made(transport)
        first = asyncio.create_task(connection.ask([b"first"]))
        await asyncio.sleep(0)
        connection.data_received(response(b"one"))
        first.cancel()
        assert idle.pop() is connection
        second = asyncio.create_task(connection.ask([b"second"]))
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.sleep(0)
        assert transport.sent == [b"first", b"second"]
        assert not transport.is_cut
        connection.data_received(response(b"two"))
        assert (await second).body == b"two"

    asyncio.run(main())


class Wire(asyncio.Transport):
    """Takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.is_cut = False

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.sent += map(bytes, list_of_data)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_cut = True


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_the_system_watches_over_connections_that_say_nothing(run: Callable[..., object]) -> None:
    """So a partition is found out in seconds, and not by a request on each of them."""

    async def main() -> None:
        async with await asyncio.start_server(saying(analysed()), "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            engine = TritonHttpEngine(f"http://127.0.0.1:{port}", model=MODEL, timeout_s=2)
            await engine.analyse(b"x")
            (connection,) = engine._all
            ours = connection._transport.get_extra_info("socket")
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if sys.platform == "linux":
                idle, interval, count = (
                    ours.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                )
                assert idle + interval * count < 8
            await engine.close()

    run(main())


def test_an_idle_connection_that_the_server_closed_is_not_asked_again() -> None:
    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(analysed())
        writer.close()

    async def later(engine: TritonHttpEngine) -> None:
        await engine.analyse(b"x")
        await asyncio.sleep(0.05)
        await engine.analyse(b"x")

    server = Server(write)
    ask(server, later)
    assert server.connections == 2


@pytest.mark.parametrize(("headers", "connections"), [({}, 1), ({"Connection": "close"}, 3)])
def test_a_connection_is_asked_again_as_long_as_the_server_keeps_it(
    headers: dict[str, object], connections: int
) -> None:
    async def thrice(engine: TritonHttpEngine) -> None:
        for _ in range(3):
            await engine.analyse(b"x")

    server = saying(analysed(**headers))
    ask(server, thrice)
    assert server.connections == connections


def test_an_answer_that_nobody_waits_for_any_more_is_given_to_nobody_else() -> None:
    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if body.endswith(b"slow" + b"\x01\0\0\0" + bytes(16)):
            await asyncio.sleep(0.2)
            writer.write(refused("in ensemble 'face_analysis', picture_unreadable: slow", "400 Bad Request"))
        else:
            writer.write(analysed())

    async def abandon(engine: TritonHttpEngine) -> int:
        slow = asyncio.ensure_future(engine.analyse(b"slow"))
        await asyncio.sleep(0.05)
        slow.cancel()
        found = [len((await engine.analyse(b"quick")).faces) for _ in range(3)]
        await asyncio.sleep(0.3)
        return sum(found) + len((await engine.analyse(b"quick")).faces)

    server = Server(write)
    assert ask(server, abandon) == 4
    assert server.connections == 2


def test_a_connection_grows_no_older_than_it_may() -> None:
    """So that a balancer of connections chooses anew; of the four, the lowest lay idle from the beginning."""

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(analysed())

    async def over_time(engine: TritonHttpEngine) -> None:
        await asyncio.gather(*(engine.analyse(b"x") for _ in range(4)))
        assert server.connections == 4
        await asyncio.sleep(2.1)
        for _ in range(2):
            await engine.analyse(b"x")
        # The four are gone with the first, and the fifth is new.
        assert server.connections == 5
        assert len(engine._all) == 1

    server = Server(write)
    ask(server, over_time, oldest_s=2.0)


def test_an_answer_that_takes_its_connection_over_its_time_is_given_to_who_asked() -> None:
    """And the next one asks on another connection, whatever it gets there."""

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if b"slow" in body:
            await asyncio.sleep(3.1)
            writer.write(analysed(faces=0))
        else:
            writer.write(analysed())

    async def slow_then_quick(engine: TritonHttpEngine) -> list[int]:
        slow = asyncio.ensure_future(engine.analyse(b"slow", timeout_s=8))
        await asyncio.sleep(3.05)
        quick = await engine.analyse(b"quick")
        found = [len((await slow).faces), len(quick.faces)]
        assert len(engine._idle) == 1
        found.append(len((await engine.analyse(b"quick")).faces))
        return found

    server = Server(write)
    assert ask(server, slow_then_quick, oldest_s=3.0) == [0, 1, 1]
    assert server.connections == 2


def test_connections_that_were_made_together_do_not_end_together() -> None:
    async def many(engine: TritonHttpEngine) -> list[float]:
        await asyncio.gather(*(engine.analyse(b"x") for _ in range(8)))
        now = asyncio.get_running_loop().time()
        return [connection._until - now for connection in engine._all]

    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(analysed())

    left = ask(Server(write), many, oldest_s=100.0)
    assert all(40 < each <= 100 for each in left)
    assert max(left) - min(left) > 1


def test_pictures_at_the_same_time_have_a_connection_each() -> None:
    async def write(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(analysed())

    async def many(engine: TritonHttpEngine) -> None:
        for _ in range(2):
            await asyncio.gather(*(engine.analyse(b"x") for _ in range(4)))

    server = Server(write)
    ask(server, many)
    assert server.connections == 4


@pytest.mark.parametrize(
    ("answers", "is_ready"),
    [
        ([response(b"")], True),
        ([response(b"", "400 Bad Request")], False),
        ([response(b""), response(b"", "400 Bad Request")], False),
        ([b"no HTTP at all\r\n"], False),
    ],
)
def test_it_is_ready_when_the_server_and_the_ensemble_are(answers: list[bytes], is_ready: bool) -> None:
    assert ask(saying(*answers), lambda engine: engine.ready()) is is_ready


def test_a_closed_engine_answers_nobody() -> None:
    """Nor does it ask again what was under way on a kept connection."""

    async def close(engine: TritonHttpEngine) -> None:
        await engine.analyse(b"x")
        under_way = asyncio.ensure_future(engine.analyse(b"x"))
        await asyncio.sleep(0.05)
        await engine.close()
        for each in (under_way, engine.analyse(b"x")):
            with pytest.raises(errors.EngineUnavailable):
                await each
        assert not await engine.ready()

    server = saying(analysed(), b"")
    ask(server, close)
    assert server.connections == 1


def test_an_absent_triton_is_unavailable_and_not_ready() -> None:
    async def main() -> None:
        engine = TritonHttpEngine("http://127.0.0.1:1", model=MODEL)
        assert not await engine.ready()
        with pytest.raises(errors.EngineUnavailable):
            await engine.analyse(b"x")

    asyncio.run(main())


@pytest.mark.parametrize(("address", "kind"), [("http://127.0.0.1:1", TritonHttpEngine), ("127.0.0.1:1", TritonEngine)])
def test_an_address_says_by_which_protocol_it_is_asked(address: str, kind: type[object]) -> None:
    async def main() -> None:
        engine = open_engine(address, model=MODEL, timeout_s=1)
        assert type(engine) is kind
        assert engine.model == MODEL
        with pytest.raises(ValueError, match="faces"):
            await engine.analyse(b"x", max_faces=33)
        await engine.close()

    asyncio.run(main())


def test_a_picture_goes_to_triton_as_it_is() -> None:
    """It may have megabytes, and a copy of it would be held until the answer."""
    picture = bytes(100)
    assert any(piece is picture for pieces in contents_of(picture, 1, None) for piece in pieces)


def test_nothing_is_held_once_triton_has_left_a_request_unanswered() -> None:
    """Its error goes, and with it the picture that its traceback knows, without waiting for a collection."""

    async def hang_up(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def work(engine: TritonHttpEngine) -> list[weakref.ref[BaseException]]:
        try:
            await engine.analyse(b"picture")
        except errors.EngineUnavailable as error:
            return [weakref.ref(each) for each in (error, error.__cause__) if each is not None]
        pytest.fail("an answer that nobody gave")

    gc.disable()
    try:
        assert [known() for known in ask(Server(hang_up), work)] == [None, None]
    finally:
        gc.enable()
