"""HTTP/1.1 as the workers speak it: uvicorn's httptools protocol, with bounds to all of a request that is no body.

uvicorn closes a connection that is idle after an answer, and no other: one that never sends a byte, or sends a head
byte by byte, or line ends between requests, would stay for ever. It reads a head and the trailers of a chunked body
into memory, however long. And it loses the body of a request that offers an ``Upgrade``, as Java's and curl's clients
do: what it has not lost it takes for another request.
"""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from visavis_proxy.connection import OF_CONNECTION

#: A head may be longer by one read from the socket.
MAX_HEAD_BYTES: Final = 64 * 1024
#: Requests of one connection that wait for the answer to the one before them; few clients send any.
MAX_WAITING: Final = 8
#: What a chunked body may have around it (sizes, line ends, trailers): a head's length, and so much for each byte of
#: it, for a byte may come in a chunk of its own.
_FRAMING_PER_BYTE: Final = 8
#: Of the connection alone, and no part of a request that goes on without it.
_UPGRADE_HEADERS: Final = {b"upgrade", b"connection", b"http2-settings"}

_log = logging.getLogger(__name__)


class BoundedHeadProtocol(HttpToolsProtocol):
    """Refuses a request whose head goes on and on before any of it is handed to the app; ignores offers to upgrade."""

    #: From a head's first byte to its last.
    head_within_s: ClassVar[float] = 30.0
    _in_head = False
    _in_body = False
    #: Heads begun on this connection.
    _begun = 0
    _head_bytes = 0
    _framing_bytes = 0
    _body_bytes = 0
    #: Whether the head that ended last offers what nobody here speaks.
    _offers_upgrade = False
    #: Closes the connection unless a head ends before.
    _head_timer: asyncio.TimerHandle | None = None
    _is_head_timed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request as long as for another one."""
        super().connection_made(transport)
        self._table: dict[str, object] = {}
        self._close_after(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, count what is no body, and bound the time that a head takes."""
        was_idle, was_in_body = not (self._in_head or self._in_body), self._in_body
        begun, body_bytes = self._begun, self._body_bytes
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport.is_closing():
            return
        if self._is_without_request() and not self._is_head_timed:
            self._is_head_timed = True
            self._close_after(self.head_within_s)
        # A read that ends one message and begins another is counted for neither.
        if self._in_head and self._begun == begun + was_idle:
            self._head_bytes += len(data)
        elif self._in_body and was_in_body and self._begun == begun:
            self._framing_bytes += len(data) - (self._body_bytes - body_bytes)
        self._check_lengths()

    def _parse(self, data: bytes) -> None:
        """All of it; a head that offers an upgrade is parsed again as if nothing had been offered: RFC 9110, 7.8."""
        rest: bytes | None = data
        while rest is not None:
            rest = self._parse_until_an_offer(rest)

    def _parse_until_an_offer(self, data: bytes) -> bytes | None:
        """What is to be parsed yet; None: nothing."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade as offered:
            return self._without_upgrade(data[offered.args[0] :])
        return None

    def _without_upgrade(self, rest: bytes) -> bytes | None:
        """The head that ended last without its offer, and what follows it; None where that cannot be."""
        if self.parser.get_method() == b"CONNECT":
            self._refuse("This is no proxy.")
            return None
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        kept = [(name, value) for name, value in self.headers if name not in _UPGRADE_HEADERS]
        if not self.parser.should_keep_alive():
            kept.append((b"connection", b"close"))
        lines += [b"%b: %b" % header for header in kept]
        self._in_head = self._offers_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join(lines) + b"\r\n\r\n" + rest

    def on_message_begin(self) -> None:
        """A new head begins.

        Raises:
            ValueError: too many wait; the parser makes it the connection's end.
        """
        if len(self.pipeline) >= MAX_WAITING:
            raise ValueError("too many requests wait for their turn")
        super().on_message_begin()
        self.scope["state"][OF_CONNECTION] = self._table
        self._begun += 1
        self._in_head, self._in_body, self._is_head_timed = True, False, False
        self._head_bytes = self._framing_bytes = self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what stands in the head; nobody here reads trailers."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head has ended; what it offers to become is not looked at."""
        if self.parser.should_upgrade():
            self._offers_upgrade = True
            return
        self._in_head = self._is_head_timed = False
        self._in_body = True
        self._forget_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body has ended, with its trailers."""
        if not self._offers_upgrade:
            self._in_body = False
            super().on_message_complete()

    def _check_lengths(self) -> None:
        if self._head_bytes > MAX_HEAD_BYTES:
            _log.warning("a request's head was longer than %d bytes", MAX_HEAD_BYTES)
            self._refuse("The request's head is too large.")
        elif self._framing_bytes > MAX_HEAD_BYTES + _FRAMING_PER_BYTE * self._body_bytes:
            _log.warning("a request's body of %d bytes had %d around it", self._body_bytes, self._framing_bytes)
            self._refuse("The request's chunks or trailers are too large.")

    def _refuse(self, words: str) -> None:
        """Answer 400 where no answer has begun, and close."""
        if self._is_without_request() or not self.cycle.response_started:
            self.send_400_response(words)
        else:
            self.transport.close()

    def _is_without_request(self) -> bool:
        """Whether none is being answered; uvicorn times the wait only until the next byte, whatever that is."""
        return self.cycle is None or self.cycle.response_complete

    def _close_after(self, seconds: float) -> None:
        self._forget_timer()
        self._head_timer = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
