"""Every contract under overload: its own busy words, by a request's head, and for nobody who has been let in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from contracts.aliyun import bench as aliyun
from contracts.calling import (
    ANALYSES,
    CONTRACTS,
    REMOTE,
    REMOTE_CALLS,
    URL,
    Call,
    Contract,
    aliyun_call,
    every_contract,
    is_success,
    said,
    signed_aws_call,
)
from contracts.facepp import bench as facepp
from fakes import TEST_KEY, FakeFetcher, make_services
from fetching import CONTEXT, LOOPBACK, OK
from hostile_server import serving

from visavis_client.faces import BoundingBox, PictureAnalysis
from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app
from visavis_proxy.fetch import FetchFailed, Hold, unheld
from visavis_proxy.fetch.http import HttpFetcher
from visavis_proxy.gate import Level
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings


class PatientEngine(FakeEngine):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(ANALYSES)
        self.go = asyncio.Event()

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,
    ) -> PictureAnalysis:
        await self.go.wait()
        return await super().analyse(image, max_faces=max_faces, region=region, timeout_s=timeout_s)


def services(engine: FakeEngine | None = None, **settings: Any) -> Services:
    given = Settings(**settings)
    return make_services(engine or FakeEngine(ANALYSES), settings=given, clock=lambda: aliyun.NOW)


@contextmanager
def app(given: Services) -> Iterator[httpx.AsyncClient]:
    """A client of the whole app; whatever was asked of it, nothing is under way in the end."""
    transport = httpx.ASGITransport(create_app(given))
    yield httpx.AsyncClient(transport=transport, base_url=f"http://{aliyun.HOST}")
    assert (given.gate.pictures, given.gate.body_bytes) == (0, 0)


async def until(happens: Callable[[], bool]) -> None:
    """Let the others go on until it does."""
    async with asyncio.timeout(10):
        while not happens():  # noqa: ASYNC110 (nobody announces it)
            await asyncio.sleep(0)


async def counted(client: httpx.AsyncClient, limit: str) -> bool:
    """Whether one request is counted as ended by that limit."""
    return f'limit="{limit}"' in (await client.get("/metrics")).text


@every_contract
def test_a_full_worker_refuses_by_the_head_of_a_request(contract: Contract) -> None:
    """The busy answer comes to an unsigned body of nonsense, which has been read to its end and held by nobody."""

    async def run() -> None:
        given, sent = replace(services(max_in_flight=2), state=None), 0  # type: ignore[arg-type]

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(5):
                sent += 1
                yield b"nonsense"
                assert given.gate.body_bytes == 0

        with app(given) as client:
            given.gate.count(Level.PICTURES, 2)
            answer = await client.post(contract.call()["url"], content=body())
            given.gate.count(Level.PICTURES, -2)
            assert said(answer) == contract.busy
            assert sent == 5
            assert await counted(client, "in_flight")

    asyncio.run(run())


@every_contract
def test_nobody_is_refused_by_its_own_second_picture(contract: Contract) -> None:
    """A worker that takes one picture at once compares two for whoever is let in, and refuses the next till then."""

    async def run() -> None:
        engine = PatientEngine()
        given = services(engine, max_in_flight=1)
        with app(given) as client:
            first = asyncio.create_task(client.post(**contract.call()))
            await until(lambda: given.gate.pictures > 0)
            assert given.gate.pictures == contract.pictures
            assert said(await client.post(**contract.call())) == contract.busy
            engine.go.set()
            assert is_success(await first)
            assert is_success(await client.post(**contract.call()))

    asyncio.run(run())


@every_contract
def test_a_slow_caller_keeps_nobody_out(contract: Contract) -> None:
    """While a body is on its way its request has no place, only its bytes are counted; alone it has its place."""

    async def run() -> None:
        given, rest = services(max_in_flight=1), asyncio.Event()
        call = contract.call()
        whole = httpx.Request("POST", "http://x", **{k: v for k, v in call.items() if k in {"content", "data"}})

        async def body() -> AsyncIterator[bytes]:
            yield whole.content[:50]
            await rest.wait()
            yield whole.content[50:]

        headers = call.get("headers") or {"content-type": whole.headers.get("content-type", "application/json")}
        with app(given) as client:
            slow = asyncio.create_task(
                client.post(call["url"], params=call.get("params"), content=body(), headers=headers)
            )
            await until(lambda: given.gate.body_bytes > 0)
            assert (given.gate.pictures, given.gate.body_bytes) == (0, 50)
            assert is_success(await client.post(**contract.call()))
            rest.set()
            assert is_success(await slow)

    asyncio.run(run())


@every_contract
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_without_room_is_refused(contract: Contract, announced: bool) -> None:
    """Bodies that do not fit get the busy answer, read to their end and kept nowhere; a smaller one is looked at.

    Their room is free while the rest of them still comes.
    """

    async def run() -> None:
        given, held = services(max_body_bytes_held=100), []

        async def body() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b"ten bytes!"
                held.append(given.gate.body_bytes)

        with app(given) as client:
            headers = {"content-length": "110"} if announced else {}
            answer = await client.post(contract.call()["url"], content=body(), headers=headers)
            assert said(answer) == (contract.no_memory or contract.busy)
            assert max(held) <= (0 if announced else 100)
            assert held[-1] == 0
            assert await counted(client, "body_bytes")
            assert said(await client.post(contract.call()["url"], content=b"ten bytes!")) != said(answer)

    asyncio.run(run())


@every_contract
def test_a_keys_rate_is_told_from_a_full_worker(contract: Contract) -> None:
    """Both may have the same words for the caller; the count of requests knows which it was."""

    async def run() -> None:
        # botocore signs by the clock on the wall; and an unsigned call has no key.
        is_aws = contract is CONTRACTS["aws"]
        call = signed_aws_call if is_aws else contract.call
        slow = TEST_KEY.model_copy(update={"qps": 0.001})
        given = make_services(FakeEngine(ANALYSES), keys=[slow], clock=time.time if is_aws else lambda: aliyun.NOW)
        with app(given) as client:
            assert is_success(await client.post(**call()))
            assert said(await client.post(**call())) == (contract.rate or contract.busy)
            assert await counted(client, "key_rate")
            assert not await counted(client, "in_flight")

    asyncio.run(run())


@pytest.mark.parametrize(("call", "busy"), REMOTE.values(), ids=REMOTE)
def test_whoever_waits_for_a_picture_from_elsewhere_steps_aside(call: Call, busy: tuple[int, str]) -> None:
    """A slow address takes no place in the engine; its picture may find no way back in."""

    class Slow(FakeFetcher):
        fill = 0

        async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
            assert given.gate.pictures == 0
            given.gate.count(Level.PICTURES, self.fill)
            return facepp.ANNA

    fetcher = Slow()
    given = replace(services(max_in_flight=1), fetcher=fetcher)

    async def run() -> None:
        with app(given) as client:
            assert is_success(await client.post(**call))
            fetcher.fill = 1
            again = aliyun_call(target=URL) if call["url"] == "/" else call
            assert said(await client.post(**again)) == busy
            given.gate.count(Level.PICTURES, -1)

    asyncio.run(run())


@pytest.mark.parametrize(("call", "contract"), REMOTE_CALLS.values(), ids=REMOTE_CALLS)
def test_a_picture_from_elsewhere_without_room_is_refused(call: Callable[[str], Call], contract: Contract) -> None:
    """What is fetched is counted while it arrives, with all bodies: a second picture that does not fit beside a first
    one is not read to its end, and its request gets the busy answer; afterwards the same picture has room."""

    async def run() -> None:
        end = asyncio.Event()

        async def picture(request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(OK + b"Content-Length: 150001\r\nConnection: close\r\n\r\n" + bytes(150_000))
            await end.wait()
            writer.write(b"!")

        fetcher = HttpFetcher(LOOPBACK, ssl_context=CONTEXT)
        given = replace(services(max_body_bytes_held=250_000), fetcher=fetcher)
        async with serving(picture) as server:
            with app(given) as client:
                first = asyncio.create_task(client.post(**call(server.url())))
                await until(lambda: given.gate.body_bytes > 150_000)
                second = await client.post(**call(server.url()))
                assert said(second) == (contract.no_memory or contract.busy)
                assert await counted(client, "body_bytes")
                end.set()
                # No picture at all, which is seen once all of it is there.
                assert said(await first) != said(second)
                assert said(await client.post(**call(server.url()))) != said(second)
        await fetcher.close()

    asyncio.run(run())


@pytest.mark.parametrize(("call", "_busy"), REMOTE.values(), ids=REMOTE)
def test_a_picture_that_cannot_be_fetched_leaves_nothing_behind(call: Call, _busy: tuple[int, str]) -> None:
    """The places that were given up for it are not given back a second time."""

    async def run() -> None:
        given = replace(services(), fetcher=FakeFetcher({URL: FetchFailed("gone")}))
        with app(given) as client:
            assert (await client.post(**call)).status_code == 400

    asyncio.run(run())


@every_contract
def test_whatever_ends_a_request_its_places_are_free_again(contract: Contract) -> None:
    """Nonsense, a missing key, a body too large and a caller who leaves: nothing stays under way."""

    async def run() -> None:
        engine = PatientEngine()
        with app(services(engine)) as client:
            for body in (b"", b"nonsense", bytes(12 * 2**20)):
                assert said(await client.post(contract.call()["url"], content=body)) != contract.busy
            leaving = asyncio.create_task(client.post(**contract.call()))
            await asyncio.sleep(0.05)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    asyncio.run(run())
