"""Pictures by http and https."""

from __future__ import annotations

import asyncio
import ssl

import httpcore
import httpx

from visavis_proxy.fetch.addresses import AddressRule
from visavis_proxy.fetch.fetcher import FetchError, FetchFailed, FetchRefused, FetchTimeout, Hold, collect, unheld
from visavis_proxy.fetch.guard import GuardedBackend, Resolver, SystemResolver
from visavis_proxy.settings import FetchSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT_CONNECTIONS = 16
_KEEP_ALIVE_S = 15.0


class HttpFetcher:
    """A client for pictures of strangers.

    Built on httpcore, whose network backend is public, rather than on httpx, which would also write every URL
    with its query into the log. It sends no cookie and no credential, asks no proxy, and takes no encoded body:
    what is never unpacked cannot explode. Any port is good: the wall is the address.
    """

    def __init__(
        self,
        settings: FetchSettings,
        *,
        resolve: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._system_resolver = SystemResolver(settings.max_concurrent)
        rule = AddressRule(settings.allowed_networks, settings.refused_networks)
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._pool = httpcore.AsyncConnectionPool(
            # httpx's: certifi's authorities, or those that SSL_CERT_FILE or SSL_CERT_DIR name.
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=settings.max_concurrent,
            max_keepalive_connections=min(_KEPT_CONNECTIONS, settings.max_concurrent),
            keepalive_expiry=_KEEP_ALIVE_S,
            network_backend=GuardedBackend(rule, resolve or self._system_resolver, httpcore.AnyIOBackend()),
        )

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        """Bytes of an http or https URL; waiting for a turn counts as time. Raises: see Fetcher."""
        target = _parse(url)
        place = _place(target)
        try:
            async with asyncio.timeout(self._settings.total_timeout_s), self._slots:
                return await self._follow(target, max_bytes, hold)
        except FetchError:
            raise
        except (TimeoutError, httpcore.TimeoutException):
            raise FetchTimeout(f"{place} takes too long") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            # The name alone: an error's text may repeat what the other side sent, and it may repeat the query.
            raise FetchFailed(f"{place}: {type(error).__name__}") from None

    async def close(self) -> None:
        """Let go of connections."""
        self._system_resolver.close()
        await self._pool.aclose()

    async def _follow(self, target: httpx.URL, max_bytes: int, hold: Hold) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            async with self._pool.stream(
                "GET", _core_url(target), headers=_headers(target), extensions={"timeout": self._timeouts()}
            ) as response:
                location = _header(response, b"location")
                if response.status not in _REDIRECTS or location is None:
                    return await _read(response, _place(target), max_bytes, hold)
            target = _redirected(target, location)
        raise FetchFailed(f"{_place(target)}: more than {self._settings.max_redirects} redirects")

    def _timeouts(self) -> dict[str, float]:
        # The deadline of the whole is kept in `fetch`; only the connection has a shorter one.
        return {"connect": self._settings.connect_timeout_s}


async def _read(response: httpcore.Response, place: str, max_bytes: int, hold: Hold) -> bytes:
    if response.status != 200:
        raise FetchFailed(f"{place} answers {response.status}")
    encoding = _header(response, b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in {"", "identity"}:
        raise FetchFailed(f"{place} sends an encoded body although identity was asked for")
    announced = _header(response, b"content-length")
    return await collect(response.aiter_stream(), place, announced=announced, max_bytes=max_bytes, hold=hold)


def _parse(text: str) -> httpx.URL:
    try:
        return _checked(httpx.URL(text))
    except (httpx.InvalidURL, ValueError):
        raise FetchRefused("not a URL") from None


def _redirected(origin: httpx.URL, location: str) -> httpx.URL:
    try:
        return _checked(origin.join(location))
    except (httpx.InvalidURL, ValueError):
        raise FetchFailed(f"{_place(origin)} redirects to what is no URL") from None


def _checked(url: httpx.URL) -> httpx.URL:
    if url.scheme not in {"http", "https"}:
        raise FetchRefused("neither http nor https")
    if url.userinfo:
        raise FetchRefused("a URL with a user name or a password")
    if not url.raw_host or not (url.port is None or 0 < url.port < 65536):
        raise FetchRefused("a URL without a host, or with a port that is none")
    return url


def _place(url: httpx.URL) -> str:
    """What an error may say of a URL: paths and queries often carry signatures."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _headers(url: httpx.URL) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", url.netloc),
        (b"User-Agent", b"visavis"),
        (b"Accept", b"image/*, */*;q=0.1"),
        (b"Accept-Encoding", b"identity"),
    ]


def _header(response: httpcore.Response, name: bytes) -> str | None:
    for key, value in response.headers:
        if key.lower() == name:
            return value.decode("utf-8", "replace")
    return None
