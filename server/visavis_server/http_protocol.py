"""HTTP/1.1 as the workers speak it: uvicorn's httptools protocol, with bounds to a request's head and the wait for it.

uvicorn closes a connection that is idle after an answer, and no other: one that never sends a byte, or sends a head
byte by byte, or line ends between requests, would stay for ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A head may be longer by one read from the socket.
MAX_HEAD_BYTES: Final = 64 * 1024
#: From a head's first byte to its last.
HEAD_WITHIN_S: Final = 30.0

_log = logging.getLogger(__name__)


class BoundedHeadProtocol(HttpToolsProtocol):
    """Refuses a request whose head goes on and on, before any of it is handed to the app."""

    _in_head = False
    _head_bytes = 0
    #: Closes the connection unless a head ends before.
    _head_timer: asyncio.TimerHandle | None = None
    _is_head_timed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request as long as for another one."""
        super().connection_made(transport)
        self._close_after(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that has not ended, and bound the time that it takes."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_without_request() and not self._is_head_timed:
            self._is_head_timed = True
            self._close_after(HEAD_WITHIN_S)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            _log.warning("a request's head was longer than %d bytes", MAX_HEAD_BYTES)
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """A new head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._in_head = self._is_head_timed = False
        self._forget_timer()
        super().on_headers_complete()

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
