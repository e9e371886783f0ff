"""Limits before work, and both pictures at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from contracts.aliyun import bench
from contracts.aliyun.bench import form, rpc
from fakes import FakeFetcher
from fastapi import FastAPI

from visavis_proxy.contracts.aliyun.route import router
from visavis_proxy.fetch import Hold, unheld
from visavis_proxy.gate import Gate
from visavis_proxy.services import Services

MIB = 1024 * 1024


def transport(services: Services) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(router(services))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{bench.HOST}")


async def post(client: httpx.AsyncClient, call: bench.Call, body: AsyncIterator[bytes] | None = None) -> httpx.Response:
    return await client.post("/", params=call.query, content=body or call.body, headers=call.headers)


@pytest.mark.parametrize("chunked", [False, True])
def test_eight_megabytes_are_a_body_and_one_byte_more_is_not(chunked: bool) -> None:
    """The document's limit, with a length announced or not; a refused body has been read to its end."""
    sizes = {}

    async def send(size: int) -> None:
        sent = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent
            for start in range(0, size, MIB):
                piece = b"x" * min(MIB, size - start)
                sent += len(piece)
                yield piece

        call = rpc()
        length = {} if chunked else {"content-length": str(size)}
        async with transport(bench.services()) as client:
            answer = await post(client, replace(call, headers={**call.headers, **length}), pieces())
        sizes[size] = answer.status_code
        assert sent == size

    asyncio.run(send(8 * MIB))
    asyncio.run(send(8 * MIB + 1))
    # 400: the padding was not signed.
    assert sizes == {8 * MIB: 400, 8 * MIB + 1: 413}


class Gated(FakeFetcher):
    """Answers when as many fetches wait as it was told."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self._barrier = asyncio.Barrier(together)

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        await self._barrier.wait()
        return bench.FACE


def test_both_pictures_are_fetched_at_the_same_time() -> None:
    """Neither fetch ends before the other has begun."""

    async def run() -> httpx.Response:
        async with transport(replace(bench.services(), fetcher=Gated(2))) as client:
            return await asyncio.wait_for(post(client, rpc(form("http://a.example", "http://b.example"))), 10)

    assert asyncio.run(run()).json()["Code"] == "1"


@pytest.mark.documented("aliyun", "error", "Throttling")
def test_a_body_that_a_worker_has_no_room_for_is_throttled() -> None:
    """The unspecific one of the three, with its row's status and words, in JSON."""
    given = replace(bench.services(), gate=Gate(max_pictures=1, max_body_bytes=10, body_timeout_s=30))
    answer = rpc(Format="XML").send(bench.client(given))
    assert answer.status_code == 400
    assert answer.json()["Code"] == "Throttling"
    assert answer.json()["Message"] == "Request was denied due to request throttling."


def test_a_body_at_the_limit_costs_little() -> None:
    """Eight megabytes of percent-encoded base64 are parsed and their signature is checked in a second of a core."""
    call = rpc(form("base64://" + "9j/4AAQSk+" * 290_000, "base64://" + "9j/4AAQSk+" * 290_000))
    assert 7.5 * MIB < len(call.body) < 8 * MIB
    client = bench.client()
    begun = time.process_time()
    assert call.send(client).json()["Code"] == "InvalidParam.ImageValuePatternError"
    assert time.process_time() - begun < 1
