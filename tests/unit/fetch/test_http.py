"""The fetcher against servers that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network

import pytest
from hostile_server import Handler, answer, raw, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visavis_proxy.fetch import FetchError, FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge
from visavis_proxy.fetch.http import HttpFetcher
from visavis_proxy.settings import FetchSettings

pytestmark = pytest.mark.anyio

LOOPBACK = FetchSettings(allowed_networks=(ip_network("127.0.0.0/8"),), total_timeout_s=20)
HASTY = LOOPBACK.model_copy(update={"total_timeout_s": 0.6})
OK = b"HTTP/1.1 200 OK\r\n"
#: Trusts nobody; made once, since that takes its time.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Names:
    """A resolver that tests tell what to say; each look-up takes the next answer, the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture
async def fetcher() -> AsyncIterator[HttpFetcher]:
    """Allowed to ask the loopback interface."""
    opened = HttpFetcher(LOOPBACK, ssl_context=CONTEXT)
    yield opened
    await opened.close()


@pytest.fixture
async def hasty() -> AsyncIterator[HttpFetcher]:
    """The same, for 0.6 s at most."""
    opened = HttpFetcher(HASTY, ssl_context=CONTEXT)
    yield opened
    await opened.close()


async def fetch_from(handler: Handler, fetcher: HttpFetcher, *, max_bytes: int = 100_000) -> bytes:
    async with serving(handler) as server:
        return await fetcher.fetch(server.url(), max_bytes=max_bytes)


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
    async def forever(request: bytes, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(OK + b"Content-Length: 3\r\n\r\nabc")
            await asyncio.sleep(0.1)

    async with serving(forever) as server:
        for _ in range(2):
            assert await fetcher.fetch(server.url(), max_bytes=100) == b"abc"
            await asyncio.sleep(0)
        assert server.connections == 1


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


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "//192.168.0.1/x",
        "http://0/",
        "http://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
        "s3://bucket/key",
        "ftp://127.0.0.1/",
        "http://user:pw@127.0.0.1/",
    ],
)
async def test_a_redirect_to_what_may_not_be_asked_is_refused(location: str) -> None:
    # The first server is reached through an allowed address; 127.0.0.1 itself is not allowed.
    rule = FetchSettings(allowed_networks=(ip_network("127.0.0.2/32"),))
    fetcher = HttpFetcher(rule, ssl_context=CONTEXT)
    async with serving(answer(status="302 Found", headers=f"Location: {location}\r\n"), host="127.0.0.2") as server:
        with pytest.raises(FetchRefused):
            await fetcher.fetch(server.url(host="127.0.0.2"), max_bytes=100)
        assert len(server.requests) == 1
    await fetcher.close()


@pytest.mark.parametrize("location", ["http://[", "http://a:b/", "http:///x", "http://\x7f/"])
async def test_a_redirect_to_no_url_is_an_error_of_ours(fetcher: HttpFetcher, location: str) -> None:
    with pytest.raises((FetchFailed, FetchRefused)):
        await fetch_from(answer(status="302 Found", headers=f"Location: {location}\r\n"), fetcher)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
async def test_the_loopback_interface_is_refused_in_every_form(host: str) -> None:
    fetcher = HttpFetcher(FetchSettings(), ssl_context=CONTEXT)
    async with serving(answer()) as server:
        with pytest.raises(FetchRefused):
            await fetcher.fetch(server.url(host=host), max_bytes=100)
        assert server.connections == 0
    await fetcher.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.100.100.200",
        "::1",
        "fe80::1%1",
        "fd00:ec2::254",
        "64:ff9b::a00:1",
    ],
)
async def test_a_name_that_resolves_to_the_inside_is_refused(address: str) -> None:
    fetcher = HttpFetcher(FetchSettings(), resolve=Names([address]), ssl_context=CONTEXT)
    with pytest.raises(FetchRefused, match="no address that may be asked"):
        await fetcher.fetch("http://innocent.example/", max_bytes=100)
    await fetcher.close()


async def test_of_a_names_addresses_only_the_permitted_are_tried() -> None:
    fetcher = HttpFetcher(
        LOOPBACK, resolve=Names(["10.0.0.1", "no address", "127.0.0.3", "127.0.0.1"]), ssl_context=CONTEXT
    )
    async with serving(answer()) as server:  # nothing listens on 127.0.0.3
        assert await fetcher.fetch(server.url(host="several.example"), max_bytes=100) == b"picture"
        assert f"Host: several.example:{server.port}".encode() in server.requests[0]
    await fetcher.close()


async def test_a_name_is_looked_up_once_for_a_connection_so_that_a_second_answer_has_no_effect() -> None:
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    fetcher = HttpFetcher(
        FetchSettings(allowed_networks=(ip_network("127.0.0.2/32"),)), resolve=names, ssl_context=CONTEXT
    )
    async with serving(answer(b"outside"), host="127.0.0.2") as server:
        assert await fetcher.fetch(server.url(host="rebinding.example"), max_bytes=100) == b"outside"
        assert names.asked == ["rebinding.example"]
        # A new connection means a new look-up, and that one's answer is judged anew.
        with pytest.raises(FetchRefused):
            await fetcher.fetch(server.url(host="rebinding.example"), max_bytes=100)
        assert names.asked == ["rebinding.example"] * 2
        assert server.connections == 1
    await fetcher.close()


async def test_a_name_that_changes_between_redirects_is_judged_anew() -> None:
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    fetcher = HttpFetcher(
        FetchSettings(allowed_networks=(ip_network("127.0.0.2/32"),)), resolve=names, ssl_context=CONTEXT
    )
    async with serving(answer(status="302 Found", headers="Location: /again\r\n"), host="127.0.0.2") as server:
        with pytest.raises(FetchRefused):
            await fetcher.fetch(server.url(host="rebinding.example"), max_bytes=100)
    await fetcher.close()


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_nobody_knows_is_a_failure(failure: Exception) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise failure

    fetcher = HttpFetcher(LOOPBACK, resolve=unknown, ssl_context=CONTEXT)
    with pytest.raises(FetchFailed, match="no such name"):
        await fetcher.fetch("http://unknown.example/", max_bytes=100)
    await fetcher.close()


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "x..example", "exa mple", "a\\b"])
async def test_a_name_that_cannot_be_one_is_an_error_of_ours(fetcher: HttpFetcher, name: str) -> None:
    with pytest.raises((FetchFailed, FetchRefused)):
        await fetcher.fetch(f"http://{name}/", max_bytes=100)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "picture.jpg",
        "//host/picture.jpg",
        "http:",
        "http://",
        "http:///picture",
        "http://[::1",
        "http://host:99999/",
        "http://host:0/",
        "http://host:port/",
        "file:///etc/passwd",
        "ftp://host/",
        "gopher://host/",
        "data:image/png;base64,AAAA",
        "http://user@host/",
        "http://user:password@host/",
        "http://:password@host/",
        "http://host/\ud800",
        "http://host/\x00",
        "http://host/" + "a" * 70_000,
    ],
)
async def test_what_is_no_url_of_ours_is_refused_before_any_look_up(url: str) -> None:
    names = Names(["127.0.0.1"])
    fetcher = HttpFetcher(LOOPBACK, resolve=names, ssl_context=CONTEXT)
    with pytest.raises(FetchRefused):
        await fetcher.fetch(url, max_bytes=100)
    assert names.asked == []
    await fetcher.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(), st.text().map("http://".__add__), st.text(st.characters(codec="ascii")).map("https://".__add__)
    )
)
def test_any_text_is_answered_with_an_error_of_ours(text: str) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError

    async def ask() -> None:
        fetcher = HttpFetcher(LOOPBACK, resolve=unknown, ssl_context=CONTEXT)
        with pytest.raises(FetchError):
            await fetcher.fetch(text, max_bytes=100)
        await fetcher.close()

    asyncio.run(ask())


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
