"""Unset authorization on loopback: what is open to callers of this machine is closed to those whom somebody lets in."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from contracts.aws import bench
from contracts.aws.bench import GOOD, PATH
from fakes import TEST_KEY, make_services

from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app
from visavis_proxy.settings import Settings
from visavis_server.http_protocol import BoundedHeadProtocol

Address = tuple[str, int]
REFUSED = (403, {"message": "Missing Authentication Token"})


@contextmanager
def served(settings: Settings) -> Iterator[Address]:
    """The whole app behind the HTTP server that the workers run, on loopback whatever the settings say."""
    app = create_app(make_services(FakeEngine(bench.ANALYSES), settings=settings))
    config = uvicorn.Config(app, http=BoundedHeadProtocol, ws="none", log_config=None, access_log=False)
    listener, server = socket.create_server(("127.0.0.1", 0)), uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with served(Settings()) as found:
        yield found


def ask(address: Address, *headers: tuple[str, str], version: str = "1.1") -> tuple[int, object]:
    """Status and JSON of one good call with these headers and no others but its length; {} stands for the port."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection._http_vsn_str = f"HTTP/{version}"  # type: ignore[attr-defined]
    connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
    for name, value in (*headers, ("Content-Length", str(len(GOOD)))):
        connection.putheader(name, value.format(address[1]))
    connection.endheaders(GOOD)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def is_let_in(address: Address, *headers: tuple[str, str]) -> bool:
    """Whether an unsigned call was answered; one that was not got the gateway's refusal."""
    status, body = ask(address, *headers)
    assert status == 200 or (status, body) == REFUSED
    return status == 200


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "127.0.0.1", "localhost:{}", "LocalHost", "[::1]:{}", "127.1.2.3:80"])
def test_a_loopback_name_needs_no_signature(address: Address, host: str) -> None:
    """However this machine calls itself, with any port or none."""
    assert is_let_in(address, ("Host", host))


@pytest.mark.parametrize(
    "host",
    ["faces.example", "faces.example:{}", "192.0.2.7", "localhost.faces.example", "127.0.0.1.nip.io", "[2001:db8::1]"],
)
def test_another_name_needs_one(address: Address, host: str) -> None:
    """A terminator that passes the name on, and a page whose name was made to resolve to loopback."""
    assert not is_let_in(address, ("Host", host))


@pytest.mark.parametrize("host", ["", ":80", "[::1", "localhost:80:80", "\xff"])
def test_a_name_that_is_none_needs_one(address: Address, host: str) -> None:
    assert not is_let_in(address, ("Host", host))


def test_no_name_and_two_names_need_one(address: Address) -> None:
    """Nobody can say which of two was meant."""
    assert not is_let_in(address)
    assert not is_let_in(address, ("Host", "localhost"), ("Host", "faces.example"))


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "x-forwarded-anything", "X-Real-IP", "Via"]
)
def test_a_request_that_was_handed_on_needs_one(address: Address, name: str) -> None:
    """A relay of this machine that calls it by a loopback name still says that it is one."""
    assert not is_let_in(address, ("Host", "127.0.0.1:{}"), (name, ""))
    assert not is_let_in(address, ("Host", "127.0.0.1:{}"), (name, "127.0.0.1"))


def test_http_1_0_needs_one(address: Address) -> None:
    """So nginx calls, without a word of its own, where nobody has set it up."""
    assert ask(address, ("Host", "127.0.0.1:{}"), version="1.0") == REFUSED


@pytest.mark.parametrize("origin", ["https://faces.example", "http://localhost.faces.example", "null", "http://["])
def test_a_page_from_elsewhere_needs_one(address: Address, origin: str) -> None:
    """Its script may call loopback by its own name, and every answer tells a browser that any page may read it."""
    assert not is_let_in(address, ("Host", "127.0.0.1:{}"), ("Origin", origin))


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:{}"])
def test_a_page_of_this_machine_needs_none(address: Address, origin: str) -> None:
    assert is_let_in(address, ("Host", "127.0.0.1:{}"), ("Origin", origin))


def test_what_is_signed_comes_in_by_any_name(address: Address) -> None:
    """Behind a terminator everything goes on as under AWS_IAM, wrong signatures included."""
    name = "faces.example"
    headers = bench.signed(GOOD, url=f"https://{name}{PATH}")
    relayed = (("Host", name), ("X-Forwarded-For", "192.0.2.7"))
    assert ask(address, *relayed, *headers.items())[0] == 200
    forged = bench.signed(GOOD, TEST_KEY.model_copy(update={"id": "stranger"}), url=f"https://{name}{PATH}")
    assert ask(address, *relayed, *forged.items()) == (
        403,
        {"message": "The security token included in the request is invalid."},
    )


def test_a_setting_means_what_it_says() -> None:
    """NONE is for everybody, and AWS_IAM for this machine too."""
    here, relayed = ("Host", "127.0.0.1:{}"), (("Host", "faces.example"), ("X-Forwarded-For", "192.0.2.7"))
    with served(bench.settings(authorization="NONE")) as address:
        assert is_let_in(address, here)
        assert is_let_in(address, *relayed)
    with served(bench.settings(authorization="AWS_IAM")) as address:
        assert not is_let_in(address, here)


def test_beyond_loopback_a_loopback_name_opens_nothing() -> None:
    """A stranger may write any Host."""
    with served(Settings(host="0.0.0.0")) as address:
        assert not is_let_in(address, ("Host", "127.0.0.1:{}"))
