"""However long a server takes and however much it sends, the fetcher takes no more time and bytes than it may."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Sequence

import pytest
from fetching import CHUNKED, CONTEXT, HASTY, LOOPBACK, OK, Room, fetch_from
from hostile_server import Handler, answer, raw, serving

from visavis_client.errors import EngineBusy
from visavis_proxy.fetch import FetchFailed, FetchTimeout, FetchTooLarge
from visavis_proxy.fetch.http import HttpFetcher

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(raw(b"", then_wait=True), id="an answer that never begins"),
        pytest.param(raw(OK + b"X-Slow: " + b"a" * 1000, pause_s=0.02, every=1), id="a head that drips"),
        pytest.param(raw(OK + b"Content-Length: 9\r\n\r\nabc", then_wait=True), id="a body that stops"),
        pytest.param(raw(CHUNKED + b"1\r\na\r\n" * 1000, pause_s=0.02, every=6), id="a body that drips"),
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, pause_s=0.02, every=25), id="endless continue"),
    ],
)
async def test_slowness_ends_at_the_deadline(hasty: HttpFetcher, handler: Handler) -> None:
    begin = time.monotonic()
    with pytest.raises(FetchTimeout):
        await fetch_from(handler, hasty)
    assert 0.5 < time.monotonic() - begin < 5.0


async def test_redirects_share_one_deadline(hasty: HttpFetcher) -> None:
    async def later(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.25)
        await answer(status="302 Found", headers="Location: /next\r\n")(request, writer)

    begin = time.monotonic()
    with pytest.raises(FetchTimeout):
        await fetch_from(later, hasty)
    assert time.monotonic() - begin < 5.0


async def test_a_name_server_that_never_answers_ends_at_the_deadline() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    fetcher = HttpFetcher(HASTY, resolve=never, ssl_context=CONTEXT)
    with pytest.raises(FetchTimeout):
        await fetcher.fetch("http://slow.example/", max_bytes=100)
    await fetcher.close()


async def test_an_endless_body_is_cut_at_the_cap(fetcher: HttpFetcher) -> None:
    sent = 0

    async def endless(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + b"\r\n")
        while True:
            writer.write(bytes(4096))
            await writer.drain()
            sent += 4096

    with pytest.raises(FetchTooLarge):
        await fetch_from(endless, fetcher, max_bytes=50_000)
    assert sent < 50_000_000


async def test_an_endless_body_is_cut_where_there_is_no_room_for_it(fetcher: HttpFetcher) -> None:
    """Every piece is told before it is kept, and what refuses it comes out as it is."""

    async def endless(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while True:
            writer.write(bytes(1000))
            await writer.drain()

    room = Room(50_000)
    with pytest.raises(EngineBusy, match="no room"):
        await fetch_from(endless, fetcher, max_bytes=10_000_000, hold=room.hold)
    assert room.held <= 50_000


async def test_all_that_comes_is_told(fetcher: HttpFetcher) -> None:
    room = Room(100_000)
    assert len(await fetch_from(answer(bytes(100_000)), fetcher, hold=room.hold)) == room.held == 100_000


@pytest.mark.parametrize("length", ["100001", "9" * 18, "9" * 18 + ", " + "9" * 18])
async def test_an_announced_length_over_the_cap_is_not_waited_for(fetcher: HttpFetcher, length: str) -> None:
    begin = time.monotonic()
    with pytest.raises(FetchTooLarge):
        await fetch_from(raw(OK + f"Content-Length: {length}\r\n\r\n".encode(), then_wait=True), fetcher)
    assert time.monotonic() - begin < 10


async def test_the_cap_itself_is_allowed(fetcher: HttpFetcher) -> None:
    assert len(await fetch_from(answer(bytes(1000)), fetcher, max_bytes=1000)) == 1000
    with pytest.raises(FetchTooLarge):
        await fetch_from(raw(OK + b"\r\n" + bytes(1001)), fetcher, max_bytes=1000)


async def test_a_body_in_crumbs_is_given_up_early(fetcher: HttpFetcher) -> None:
    with pytest.raises(FetchFailed, match="crumbs"):
        await fetch_from(raw(CHUNKED + b"1\r\na\r\n" * 50_000), fetcher)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "gzip, gzip", "unknown"])
async def test_a_gzip_bomb_is_never_unpacked(fetcher: HttpFetcher, encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(FetchFailed, match="encoded"):
        await fetch_from(answer(bomb, headers=f"Content-Encoding: {encoding}\r\n"), fetcher)


async def test_only_so_many_fetches_run_at_once() -> None:
    async def slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        await answer()(request, writer)

    fetcher = HttpFetcher(LOOPBACK.model_copy(update={"max_concurrent": 3}), ssl_context=CONTEXT)
    async with serving(slow) as server:
        bodies = await asyncio.gather(*(fetcher.fetch(server.url(), max_bytes=100) for _ in range(12)))
        assert bodies == [b"picture"] * 12
        assert server.most_open <= 3
    await fetcher.close()


async def test_waiting_for_a_turn_counts_as_time() -> None:
    fetcher = HttpFetcher(HASTY.model_copy(update={"max_concurrent": 1}), ssl_context=CONTEXT)
    async with serving(raw(b"", then_wait=True)) as server:
        tries = [fetcher.fetch(server.url(), max_bytes=100) for _ in range(3)]
        begin = time.monotonic()
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert time.monotonic() - begin < 5.0
    assert [type(outcome) for outcome in outcomes] == [FetchTimeout] * 3
    await fetcher.close()
