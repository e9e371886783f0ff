"""One connection of HTTP/1.1 on which one request at a time is under way."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import httptools

from visavis_client.triton_tensors import MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class BrokenUnheard(ConnectionResetError):
    """The connection broke before a byte of the answer came, as one does that the server closes for being idle."""


class HttpConnection(asyncio.Protocol):
    """Puts itself among the idle while it could be asked, and among all while it is open."""

    def __init__(self, idle: list[HttpConnection], everyone: set[HttpConnection], until: float = math.inf) -> None:
        """``until``, of the event loop's clock: when it is not to be asked any more."""
        self._idle = idle
        self._all = everyone
        self._until = until
        self._awaited: asyncio.Future[Answer] | None = None
        self._is_heard = False
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def ask(self, message: Sequence[bytes]) -> Answer:
        """Send a request, in pieces, and wait for its answer; the connection must be new or have been idle.

        Raises:
            BrokenUnheard: the connection broke, and nothing of an answer had come.
            OSError: it broke.
        """
        awaited: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._awaited = awaited
        self._is_heard = False
        self._transport.writelines(message)
        try:
            return await awaited
        except BaseException:
            # Also where nobody waits any more: else the next one to ask would be given this answer. Where it came in
            # the very turn in which the waiting ended, the connection is idle again, or another one's already.
            if self._awaited is awaited:
                self.abort()
            raise
        finally:
            # It holds its error, whose traceback leads here and to the picture: in a circle both would stay until the
            # next collection, as those of all requests that a Triton leaves unanswered.
            del awaited

    def is_over(self) -> bool:
        """Whether it is too old to be asked."""
        return asyncio.get_running_loop().time() >= self._until

    def abort(self) -> None:
        """Close it at once; who waits for an answer is told that it broke."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._all.discard(self)
        if self in self._idle:
            self._idle.remove(self)
        self._fail(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._is_heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)
            self.abort()

    def on_message_begin(self) -> None:
        """An answer begins, whether asked for or not."""
        self._headers, self._body = {}, bytearray()
        if self._awaited is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Any of its headers."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        """A piece of its body."""
        self._body += piece
        if len(self._body) > MAX_MESSAGE_BYTES:
            self._fail(None)
            self.abort()

    def on_message_complete(self) -> None:
        """Its end."""
        awaited, self._awaited = self._awaited, None
        if awaited is None or awaited.done():
            return
        awaited.set_result(Answer(self._parser.get_status_code(), self._headers, bytes(self._body)))
        # An answer may come before its request is sent; the rest would be read as the next one.
        may_stay = self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()
        if may_stay and not self.is_over():
            self._idle.append(self)
        else:
            self.abort()

    def _fail(self, error: Exception | None) -> None:
        awaited, self._awaited = self._awaited, None
        if awaited is not None and not awaited.done():
            reason = f"the connection broke: {error}" if error else "the connection broke"
            awaited.set_exception((ConnectionResetError if self._is_heard else BrokenUnheard)(reason))
