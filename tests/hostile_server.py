"""A server on the loopback interface that answers with whatever bytes a test gives it, as slowly as it likes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

#: Is given the request's head; writes what it likes, and returns to have the connection closed.
Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"picture", *, status: str = "200 OK", headers: str = "") -> Handler:
    """An ordinary answer, and a connection that is closed after it."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"

    async def write(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)
        await writer.drain()

    return write


def raw(text: bytes, *, pause_s: float = 0.0, every: int = 1 << 16, then_wait: bool = False) -> Handler:
    """These bytes, in pieces with pauses between."""

    async def write(request: bytes, writer: asyncio.StreamWriter) -> None:
        for begin in range(0, len(text), every):
            writer.write(text[begin : begin + every])
            await writer.drain()
            await asyncio.sleep(pause_s)
        if then_wait:
            await asyncio.sleep(60)

    return write


class HostileServer:
    """Counts connections and remembers requests."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.port = 0
        self.requests: list[bytes] = []
        self.connections = 0
        self.open_now = 0
        self.most_open = 0

    def url(self, path: str = "/picture", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            await self.handler(request, writer)
        self.open_now -= 1
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def serving(
    handler: Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[HostileServer]:
    """The server on a free port of a loopback address, while the block lasts."""
    hostile = HostileServer(handler)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(hostile.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    hostile.port = server.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
