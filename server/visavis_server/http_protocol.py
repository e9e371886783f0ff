"""HTTP/1.1 as the workers speak it: uvicorn's httptools protocol, which sets no bound to a request's head."""

from __future__ import annotations

import logging
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A head may be longer by one read from the socket.
MAX_HEAD_BYTES: Final = 64 * 1024

_log = logging.getLogger(__name__)


class BoundedHeadProtocol(HttpToolsProtocol):
    """Refuses a request whose head goes on and on, before any of it is handed to the app."""

    _in_head = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that has not ended."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
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
        self._in_head = False
        super().on_headers_complete()
