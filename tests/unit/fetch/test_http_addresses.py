"""Whatever a caller, a redirect or a name server says, nothing inside is ever connected to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from fetching import CONTEXT, LOOPBACK, Names
from hostile_server import answer, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visavis_proxy.fetch import FetchError, FetchFailed, FetchRefused
from visavis_proxy.fetch.http import HttpFetcher
from visavis_proxy.settings import FetchSettings

pytestmark = pytest.mark.anyio


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
