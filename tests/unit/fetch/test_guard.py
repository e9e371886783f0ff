"""The moment of connection, and what TLS makes of it."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from ipaddress import ip_network
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hostile_server import answer, serving

from visavis_proxy.fetch import FetchFailed, FetchRefused
from visavis_proxy.fetch.addresses import AddressRule
from visavis_proxy.fetch.guard import GuardedBackend
from visavis_proxy.fetch.http import HttpFetcher
from visavis_proxy.settings import FetchSettings

pytestmark = pytest.mark.anyio

LOOPBACK = FetchSettings(allowed_networks=(ip_network("127.0.0.0/8"),))


class FakeStream(httpcore.AsyncNetworkStream):
    """A connection between two addresses."""

    def __init__(self, ours: str, theirs: str) -> None:
        self._ends = {"client_addr": (ours, 40000), "server_addr": (theirs, 80)}
        self.is_closed = False

    def get_extra_info(self, info: str) -> tuple[str, int] | None:
        return self._ends.get(info)

    async def aclose(self) -> None:
        self.is_closed = True


class FakeNetwork(httpcore.AsyncNetworkBackend):
    """Connects at once, from one address of this machine; some addresses do not answer."""

    def __init__(self, own: str, *, silent: Iterable[str] = ()) -> None:
        self._own = own
        self._silent = set(silent)
        self.tried: list[str] = []
        self.streams: list[FakeStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.tried.append(host)
        if host in self._silent:
            raise httpcore.ConnectTimeout
        self.streams.append(FakeStream(self._own, host))
        return self.streams[-1]


async def resolve_to_three(host: str, port: int) -> Sequence[str]:
    return ["1.1.1.1", "10.0.0.1", "2606:4700:4700::1111", "1.1.1.1", "9.9.9.9"]


async def test_permitted_addresses_are_tried_in_turn_and_no_other() -> None:
    network = FakeNetwork("8.8.8.8", silent=["1.1.1.1", "2606:4700:4700::1111"])
    await GuardedBackend(AddressRule(), resolve_to_three, network).connect_tcp("name.example", 80)
    assert network.tried == ["1.1.1.1", "2606:4700:4700::1111", "9.9.9.9"]


async def test_when_none_answers_the_last_failure_is_told() -> None:
    network = FakeNetwork("8.8.8.8", silent=["1.1.1.1", "2606:4700:4700::1111", "9.9.9.9"])
    with pytest.raises(httpcore.ConnectTimeout):
        await GuardedBackend(AddressRule(), resolve_to_three, network).connect_tcp("name.example", 80)


async def test_a_public_address_of_this_machine_is_refused_before_a_byte_is_sent() -> None:
    network = FakeNetwork("1.1.1.1")
    with pytest.raises(FetchRefused, match="this machine itself"):
        await GuardedBackend(AddressRule(), resolve_to_three, network).connect_tcp("name.example", 80)
    assert [stream.is_closed for stream in network.streams] == [True]


async def test_an_allowed_address_of_this_machine_is_not_refused() -> None:
    rule = AddressRule(allowed=(ip_network("1.1.1.1/32"),))
    stream = await GuardedBackend(rule, resolve_to_three, FakeNetwork("1.1.1.1")).connect_tcp("name.example", 80)
    assert isinstance(stream, FakeStream)
    assert not stream.is_closed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate of picture.example, signed by itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "picture.example")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("picture.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def trusting(certificate: Path) -> AsyncIterator[HttpFetcher]:
    """Trusts that certificate, and finds every name on the loopback interface."""
    context = ssl.create_default_context(cafile=str(certificate))
    fetcher = HttpFetcher(LOOPBACK, resolve=loopback, ssl_context=context)
    yield fetcher
    await fetcher.close()


async def test_tls_asks_for_a_certificate_of_the_name_although_the_address_is_connected_to(
    trusting: HttpFetcher, server_side: ssl.SSLContext
) -> None:
    names: list[str | None] = []
    server_side.sni_callback = lambda _, name, __: names.append(name)
    async with serving(answer(), tls=server_side) as server:
        assert await trusting.fetch(f"https://picture.example:{server.port}/", max_bytes=100) == b"picture"
    assert names == ["picture.example"]


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
async def test_a_certificate_of_another_name_is_a_failure(
    trusting: HttpFetcher, server_side: ssl.SSLContext, host: str
) -> None:
    async with serving(answer(), tls=server_side) as server:
        with pytest.raises(FetchFailed):
            await trusting.fetch(f"https://{host}:{server.port}/", max_bytes=100)
        assert server.requests == []


async def test_a_certificate_nobody_vouches_for_is_a_failure(server_side: ssl.SSLContext) -> None:
    fetcher = HttpFetcher(LOOPBACK, resolve=loopback)
    async with serving(answer(), tls=server_side) as server:
        with pytest.raises(FetchFailed):
            await fetcher.fetch(f"https://picture.example:{server.port}/", max_bytes=100)
    await fetcher.close()


async def test_a_server_that_speaks_no_tls_is_a_failure(trusting: HttpFetcher) -> None:
    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        with pytest.raises(FetchFailed):
            await trusting.fetch(f"https://picture.example:{server.sockets[0].getsockname()[1]}/", max_bytes=100)
