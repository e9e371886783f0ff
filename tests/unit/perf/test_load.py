"""The load generator against small servers of the test's own: it keeps its rate, whatever the server does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from visavis_perf.contracts import (
    BUSY,
    NO_FACE,
    OK,
    Afternoon,
    Aliyun,
    Aws,
    Body,
    Contract,
    FacePp,
    JdCloud,
    bodies,
)
from visavis_perf.load import Load, run, run_idle
from visavis_perf.samples import summarise
from visavis_perf.signing import Caller

_CALLER = Caller("key", "secret")
Handler = Callable[[web.Request], Awaitable[web.Response]]


@contextmanager
def _server(handler: Handler) -> Iterator[str]:
    """A server on loopback in a thread of its own."""
    loop = asyncio.new_event_loop()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    port = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_slow_server_does_not_slow_the_arrivals() -> None:
    """Forty requests a second leave although each answer takes half a second; none waits for another."""

    async def slow(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(0.5)
        return web.json_response({"score": 0.5})

    with _server(slow) as url:
        samples = run(Load(url, Afternoon(), [Body.of(b"x", "text/plain")], rate=40, seconds=1))
    assert [round(sample.due_s * 40) for sample in samples] == list(range(40))
    assert max(sample.latency_s for sample in samples) < 5
    assert min(sample.latency_s for sample in samples) >= 0.5
    assert summarise(samples, rate=40, seconds=1).kinds == {OK: 40}


def test_a_server_that_never_answers_is_a_timeout_and_no_hang() -> None:
    """The client's patience ends the request, and the sample says so."""

    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    with _server(never) as url:
        samples = run(Load(url, Afternoon(), [Body.of(b"x", "text/plain")], rate=5, seconds=1, timeout_s=0.3))
    assert {sample.kind for sample in samples} == {"timeout"}


def test_a_server_that_is_gone_is_an_error_by_name() -> None:
    """Nobody listens on the discard port of loopback."""
    samples = run(Load("http://127.0.0.1:9", Afternoon(), [Body.of(b"x", "text/plain")], rate=5, seconds=1))
    assert {sample.kind for sample in samples} == {"ClientConnectorError"}


def test_signed_headers_arrive_with_the_body_they_sign() -> None:
    """Host is signed as it is sent, and no nonce comes twice."""
    seen: list[tuple[str, str, str]] = []

    async def note(request: web.Request) -> web.Response:
        await request.read()
        seen.append((request.host, request.headers["authorization"], request.headers["x-jdcloud-nonce"]))
        return web.json_response({"code": "10000", "result": {"code": 0}})

    with _server(note) as url:
        contract = JdCloud(_CALLER)
        samples = run_idle(Load(url, contract, bodies(contract, [b"a", b"b", b"c"]), 1, 1), 6)
        host = url.removeprefix("http://")
    assert [sample.kind for sample in samples] == [OK] * 6
    assert {row[0] for row in seen} == {host}
    assert len({row[2] for row in seen}) == 6
    assert all(row[1].startswith("JDCLOUD2-HMAC-SHA256 Credential=key/") for row in seen)


@pytest.mark.parametrize("contract", [FacePp(_CALLER), JdCloud(_CALLER), Aliyun(_CALLER), Aws(_CALLER), Afternoon()])
def test_bodies_are_distinct(contract: Contract) -> None:
    """As many bodies as pictures, and no picture compared with itself."""
    made = bodies(contract, [f"picture {number}".encode() for number in range(6)])
    assert len({body.sha256 for body in made}) == 6
    assert all(contract.headers("127.0.0.1:80", body) for body in made)


@pytest.mark.parametrize(
    ("contract", "status", "answer", "kind"),
    [
        (FacePp(_CALLER), 200, {"confidence": 90.1}, OK),
        (FacePp(_CALLER), 200, {"faces1": []}, NO_FACE),
        (FacePp(_CALLER), 403, {"error_message": "CONCURRENCY_LIMIT_EXCEEDED"}, BUSY),
        (FacePp(_CALLER), 400, {"error_message": "INVALID_IMAGE_SIZE: image_file1"}, "400 INVALID_IMAGE_SIZE"),
        (JdCloud(_CALLER), 200, {"code": "10000", "result": {"code": 0}}, OK),
        (JdCloud(_CALLER), 200, {"code": "10000", "result": {"code": 10}}, NO_FACE),
        (JdCloud(_CALLER), 200, {"code": "10020", "result": None}, BUSY),
        (JdCloud(_CALLER), 401, {"error": {"code": 401}}, "401 None"),
        (Aliyun(_CALLER), 200, {"Code": "1"}, OK),
        (Aliyun(_CALLER), 400, {"Code": "Throttling.User"}, BUSY),
        (Aliyun(_CALLER), 400, {"Code": "Error.NoFaceDetected"}, NO_FACE),
        (Aliyun(_CALLER), 400, {"Code": "SignatureDoesNotMatch"}, "400 SignatureDoesNotMatch"),
        (Aws(_CALLER), 200, {"Faces": [{}]}, OK),
        (Aws(_CALLER), 200, {"Faces": []}, NO_FACE),
        (Aws(_CALLER), 429, {"message": "Too Many Requests"}, BUSY),
        (Afternoon(), 200, {"score": -0.1}, OK),
        (Afternoon(), 200, {"score": None}, NO_FACE),
        (Afternoon(), 500, {}, "500"),
    ],
)
def test_answers_are_judged_by_the_contracts_words(
    contract: Contract, status: int, answer: dict[str, object], kind: str
) -> None:
    """A refusal is one only in the contract's own busy words."""
    assert contract.judge(status, json.dumps(answer).encode()) == kind


def test_an_answer_that_is_no_json_is_an_error() -> None:
    """A gateway's HTML page under status 200 is no success."""
    for contract in (FacePp(_CALLER), JdCloud(_CALLER), Aliyun(_CALLER), Aws(_CALLER), Afternoon()):
        assert contract.judge(200, b"<html>") != OK
