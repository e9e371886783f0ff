"""The guard at the moment of connection.

A name is resolved once, its addresses are judged, and the connection is made to the very address that was
judged: no second look-up lies between check and use. TLS still asks for a certificate of the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import httpcore

from visavis_proxy.fetch.addresses import Address, AddressRule, parse_address
from visavis_proxy.fetch.fetcher import FetchFailed, FetchRefused

#: Addresses of a name, in the order in which to try them. Raises OSError or UnicodeError for a name that has none.
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class SystemResolver:
    """The system's own resolver, in threads of its own.

    A look-up cannot be cancelled. With threads apart, names whose servers never answer delay other look-ups at
    worst, and nothing else of the process.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="visavis-resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Addresses, IPv6 and IPv4, as the system orders them."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        """Start no further look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> Sequence[tuple[object, object, object, object, tuple[object, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects for httpcore, to permitted addresses alone."""

    def __init__(self, rule: AddressRule, resolve: Resolver, inner: httpcore.AsyncNetworkBackend) -> None:
        self._rule = rule
        self._resolve = resolve
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Try the name's permitted addresses in turn, ``timeout`` for each.

        Raises:
            FetchRefused: it has none.
            FetchFailed: no such name.
            httpcore.ConnectError: none could be reached.
            httpcore.ConnectTimeout: nor within the time.
        """
        failure: Exception | None = None
        for address in await self._permitted(host, port):
            try:
                stream = await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            if not self._rule.allows(address) and _ends_meet(stream):
                await stream.aclose()
                raise FetchRefused(f"{host} is this machine itself")
            return stream
        raise failure or FetchRefused(f"{host} has no address that may be asked")

    async def _permitted(self, host: str, port: int) -> list[Address]:
        try:
            texts = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"{host}: no such name") from error
        addresses = dict.fromkeys(map(parse_address, texts))
        return [address for address in addresses if address is not None and self._rule.permits(address)]


def _ends_meet(stream: httpcore.AsyncNetworkStream) -> bool:
    """Whether a connection ends at the machine it began at.

    A machine's own public address leads past its firewall to whatever listens on all interfaces.
    """
    ours, theirs = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
    return bool(ours and theirs and ours[0] == theirs[0])
