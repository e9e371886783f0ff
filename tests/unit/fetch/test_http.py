"""The fetcher against servers that mean no good."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest
from fetching import CHUNKED, CONTEXT, LOOPBACK, OK, fetch_from
from hostile_server import Handler, answer, raw, serving

from visavis_proxy.fetch import FetchError, FetchFailed, FetchRefused, FetchTimeout
from visavis_proxy.fetch.http import HttpFetcher

pytestmark = pytest.mark.anyio


async def test_a_picture_comes_byte_for_byte(fetcher: HttpFetcher) -> None:
    body = bytes(range(256)) * 300
    assert await fetch_from(answer(body), fetcher) == body


async def test_the_request_carries_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing listens on port 1: a proxy that were asked would fail.
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    opened = HttpFetcher(LOOPBACK, ssl_context=CONTEXT)
    async with serving(answer(headers="Set-Cookie: a=b\r\n")) as server:
        for _ in range(2):
            await opened.fetch(server.url("/a?b=c#d"), max_bytes=100)
        head = server.requests[-1].decode().lower()
    await opened.close()
    assert head.startswith("get /a?b=c http/1.1\r\n")
    names = {line.partition(":")[0] for line in head.split("\r\n")[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding"}
    assert "accept-encoding: identity" in head
    assert f"host: 127.0.0.1:{server.port}\r\n" in head


async def test_a_connection_is_used_again(fetcher: HttpFetcher) -> None:
    connections = 0

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK + b"Content-Length: 3\r\n\r\nabc")
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    url = "http://{}:{}/picture".format(*server.sockets[0].getsockname())
    for _ in range(2):
        assert await fetcher.fetch(url, max_bytes=100) == b"abc"
    assert connections == 1
    server.close()


async def test_the_content_type_is_not_believed(fetcher: HttpFetcher) -> None:
    wrong = answer(b"<html>", headers="Content-Type: image/png\r\nContent-Encoding: identity\r\n")
    assert await fetch_from(wrong, fetcher) == b"<html>"


@pytest.mark.parametrize(
    "status", ["201 Created", "204 No Content", "206 Partial", "304 Same", "404 No", "500 Oh", "302 Found"]
)
async def test_what_is_not_200_is_no_picture(fetcher: HttpFetcher, status: str) -> None:
    with pytest.raises(FetchFailed, match=status[:3]):
        await fetch_from(answer(b"" if status[:3] in {"204", "304"} else b"body", status=status), fetcher)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answer(b""), id="nothing"),
        pytest.param(raw(b""), id="closed at once"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.2\r\n"), id="no http"),
        pytest.param(raw(OK + b"Content-Length: 9\r\n\r\nabc"), id="a body cut short"),
        pytest.param(raw(CHUNKED + b"5\r\nab"), id="a chunk cut short"),
        pytest.param(raw(CHUNKED + b"zz\r\n"), id="a chunk of no length"),
        pytest.param(raw(OK + b"Content-Length: -5\r\n\r\n"), id="a negative length"),
        pytest.param(raw(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), id="two lengths"),
        pytest.param(raw(OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n"), id="a huge header"),
        pytest.param(raw(OK + b"X-Header: abc\r\n" * 20_000 + b"\r\n"), id="many headers"),
        pytest.param(raw(OK + b"\x00\x01: \xff\r\n\r\n"), id="a header of no sense"),
        pytest.param(raw(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n"), id="an unknown transfer encoding"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n"), id="odd bytes"),
    ],
)
async def test_a_broken_answer_is_a_failure(fetcher: HttpFetcher, handler: Handler) -> None:
    with pytest.raises(FetchFailed):
        await fetch_from(handler, fetcher)


async def test_a_connection_that_is_reset_is_a_failure(fetcher: HttpFetcher) -> None:
    async def reset(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 100\r\n\r\nabc")
        await writer.drain()
        writer.transport.abort()

    with pytest.raises(FetchFailed):
        await fetch_from(reset, fetcher)


async def test_a_refused_connection_is_a_failure(fetcher: HttpFetcher) -> None:
    async with serving(answer()) as server:
        url = server.url()
    with pytest.raises(FetchFailed):
        await fetcher.fetch(url, max_bytes=100)


async def test_a_redirect_is_followed(fetcher: HttpFetcher) -> None:
    async def once(request: bytes, writer: asyncio.StreamWriter) -> None:
        moved = answer(status="301 Moved", headers="Location: there?x=1\r\n")
        await (answer() if b"GET /a/there?x=1 " in request else moved)(request, writer)

    async with serving(once) as server:
        assert await fetcher.fetch(server.url("/a/here"), max_bytes=100) == b"picture"


async def test_a_redirect_loop_ends_after_the_allowed_ones(fetcher: HttpFetcher) -> None:
    async with serving(answer(status="307 Again", headers="Location: /picture\r\n")) as server:
        with pytest.raises(FetchFailed, match="more than 3 redirects"):
            await fetcher.fetch(server.url(), max_bytes=100)
        assert len(server.requests) == 4


@pytest.mark.parametrize("location", ["http://[", "http://a:b/", "http:///x", "http://\x7f/"])
async def test_a_redirect_to_no_url_is_an_error_of_ours(fetcher: HttpFetcher, location: str) -> None:
    with pytest.raises((FetchFailed, FetchRefused)):
        await fetch_from(answer(status="302 Found", headers=f"Location: {location}\r\n"), fetcher)


async def test_a_fetch_that_failed_leaves_no_connection_behind(hasty: HttpFetcher) -> None:
    async with serving(raw(OK + b"Content-Length: 900\r\n\r\nabc", then_wait=True)) as server:
        for _ in range(3):
            with pytest.raises(FetchTimeout):
                await hasty.fetch(server.url(), max_bytes=1000)
        server.handler = answer()
        assert await hasty.fetch(server.url(), max_bytes=1000) == b"picture"
    assert len(hasty._pool.connections) == 0


async def test_a_caller_who_goes_away_is_not_mistaken_for_slowness(fetcher: HttpFetcher) -> None:
    async with serving(raw(b"", then_wait=True)) as server:
        task = asyncio.create_task(fetcher.fetch(server.url(), max_bytes=100))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "handler",
    [
        answer(status="403 No"),
        answer(status="302 Found", headers="Location: /other?token=hidden-secret\r\n"),
        raw(b"HTTP/1.1 hidden-secret\r\n\r\n"),
        raw(OK + b"hidden-secret\r\n\r\n"),
        raw(OK + b"Content-Length: 900\r\n\r\nabc"),
        raw(b"", then_wait=True),
    ],
)
async def test_no_secret_of_a_url_is_in_an_error_or_in_the_log(
    hasty: HttpFetcher, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with serving(handler) as server:
            with pytest.raises(FetchError) as failure:
                await hasty.fetch(server.url("/hidden-path?token=hidden-secret"), max_bytes=100)
    assert failure.value.__cause__ is None
    assert "hidden" not in str(failure.value) + caplog.text


async def test_no_password_of_a_url_is_in_an_error(fetcher: HttpFetcher) -> None:
    with pytest.raises(FetchRefused) as failure:
        await fetcher.fetch("http://user:hidden@host.example/", max_bytes=100)
    assert "hidden" not in str(failure.value)
