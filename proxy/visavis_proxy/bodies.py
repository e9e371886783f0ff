"""Reading request bodies, plain and chunked, within bounds of bytes and time.

A client that is refused while it still sends takes the closed connection for a network fault and never sees the
answer. So an oversized body is read to its end and thrown away, as far as that is bearable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request

from visavis_client.errors import EngineBusy

#: So much of an oversized body is thrown away, for so long; behind that the connection is closed.
DRAIN_BYTES: Final = 64 * 2**20
DRAIN_TIMEOUT_S: Final = 5.0

#: Set in a request's scope when its body was not read to the end: the answer must close the connection.
UNREAD: Final = "visavis.body_unread"


class BodyTooLarge(Exception):
    """More bytes than the limit; the rest of the body has been thrown away."""


class BodyTooSlow(ClientDisconnect):
    """Not all there in time: for a room the same as a caller who left."""


async def read_body(request: Request, limit: int, count: Callable[[int], None], *, within_s: float) -> bytes:
    """The whole body, counted while it arrives, within that time however large it is.

    ``count`` is told the size of every piece before it is kept, and raises EngineBusy where there is no room for it.
    What is thrown away after all is told as a negative size.

    Raises:
        BodyTooLarge: more than ``limit`` bytes.
        EngineBusy: ``count`` said so; the rest of the body has been thrown away.
        ClientDisconnect: the caller left, or was too slow.
    """
    if announced_bytes(request) > limit:
        await discard_body(request)
        raise BodyTooLarge
    pieces = request.stream()
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for piece in pieces:
                if len(body) + len(piece) > limit:
                    raise BodyTooLarge
                count(len(piece))
                body += piece
    except TimeoutError:
        request.scope[UNREAD] = True
        raise BodyTooSlow from None
    except (BodyTooLarge, EngineBusy):
        # Before the rest is awaited: a sender that takes its time must not keep room that nothing lies in.
        count(-len(body))
        body.clear()
        await _drain(request, pieces)
        raise
    return bytes(body)


async def discard_body(request: Request) -> None:
    """Throw a body away as it comes, so that its sender comes to read the answer.

    Raises:
        ClientDisconnect: the caller left.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        # Nothing has been sent yet: the answer comes in place of the word that the sender waits for.
        request.scope[UNREAD] = True
        return
    await _drain(request, request.stream())


def announced_bytes(request: Request) -> int:
    """What Content-Length says; 0 for chunked bodies."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0


async def _drain(request: Request, pieces: AsyncIterator[bytes]) -> None:
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    break
            else:
                return
    except TimeoutError:
        pass
    request.scope[UNREAD] = True
