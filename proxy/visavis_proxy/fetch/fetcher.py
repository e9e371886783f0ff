"""What rooms see of the fetcher, and its errors.

FetchError
├── FetchRefused     an address, a scheme or a bucket that must not be asked
├── FetchFailed      the other side did not answer with a picture
├── FetchTooLarge    more bytes than allowed
└── FetchTimeout     not within the time allowed
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeAlias

#: Is told of every piece's size before it is kept, and raises where there is no room for it.
Hold: TypeAlias = Callable[[int], None]


class FetchError(Exception):
    """Root: the picture could not be had. Its text is for logs, without paths, query strings or credentials."""


class FetchRefused(FetchError):
    """An address, a scheme or a bucket that must not be asked."""


class FetchFailed(FetchError):
    """The other side did not answer with a picture: name unknown, connection refused, status not 200."""


class FetchTooLarge(FetchError):
    """More bytes than allowed."""


class FetchTimeout(FetchError):
    """Not within the time allowed."""


def unheld(_size: int) -> None:
    """Nobody counts what is kept."""


class Fetcher(Protocol):
    """Fetches the bytes behind a URL."""

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        """Bytes of an http(s) or s3 URL, never none.

        What kind of bytes they are is for the caller to find out: no header of the other side is believed.

        Raises:
            FetchError: one of its leaves.
            Exception: what ``hold`` raises, as it is; the other side is not read any further.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


#: After so many pieces their mean length is watched.
_FREE_PIECES = 1024
#: A body that is chopped finer than this on average costs more time to take apart than it can be worth.
_SMALLEST_MEAN_PIECE = 256


async def collect(
    pieces: AsyncIterator[bytes], place: str, *, announced: str | None, max_bytes: int, hold: Hold
) -> bytes:
    """Join a body while it arrives and stop as soon as it breaks a rule, or there is no room for it.

    ``announced`` is the other side's Content-Length: good enough to refuse by, never to trust.

    Raises:
        FetchTooLarge: more than ``max_bytes``, announced or sent.
        FetchFailed: no byte at all, or a body chopped into crumbs.
    """
    if announced is not None and announced.isdecimal() and len(announced) < 20 and int(announced) > max_bytes:
        raise FetchTooLarge(f"{place} announces more than {max_bytes} bytes")
    body = bytearray()
    count = 0
    async for piece in pieces:
        if len(body) + len(piece) > max_bytes:
            raise FetchTooLarge(f"{place} sends more than {max_bytes} bytes")
        hold(len(piece))
        body += piece
        count += 1
        if count > _FREE_PIECES and len(body) < count * _SMALLEST_MEAN_PIECE:
            raise FetchFailed(f"{place} sends its answer in crumbs")
    if not body:
        raise FetchFailed(f"{place} sends nothing")
    return bytes(body)
