"""What the fetcher's tests ask with: settings for the loopback interface, and a resolver that says what it is told."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from ipaddress import ip_network

from hostile_server import Handler, serving

from visavis_client.errors import EngineBusy
from visavis_proxy.fetch import Hold, unheld
from visavis_proxy.fetch.http import HttpFetcher
from visavis_proxy.settings import FetchSettings

LOOPBACK = FetchSettings(allowed_networks=(ip_network("127.0.0.0/8"),), total_timeout_s=20)
HASTY = LOOPBACK.model_copy(update={"total_timeout_s": 0.6})
#: Trusts nobody; made once, since that takes its time.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Names:
    """A resolver that tests tell what to say; each look-up takes the next answer, the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Room:
    """Counts what a fetcher keeps, and has no room beyond a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def hold(self, size: int) -> None:
        if self.held + size > self._limit:
            raise EngineBusy("no room")
        self.held += size


async def fetch_from(handler: Handler, fetcher: HttpFetcher, *, max_bytes: int = 100_000, hold: Hold = unheld) -> bytes:
    async with serving(handler) as server:
        return await fetcher.fetch(server.url(), max_bytes=max_bytes, hold=hold)
