"""Pictures from elsewhere: http, https and s3, without becoming anyone's way into the inside network."""

from __future__ import annotations

from typing import Protocol


class FetchError(Exception):
    """Root: the picture could not be had. Its text is for logs, without query strings or credentials."""


class FetchRefused(FetchError):
    """An address, a scheme or a bucket that must not be asked."""


class FetchFailed(FetchError):
    """The other side did not answer with a picture: name unknown, connection refused, status not 200."""


class FetchTooLarge(FetchError):
    """More bytes than allowed."""


class FetchTimeout(FetchError):
    """Not within the time allowed."""


class Fetcher(Protocol):
    """Fetches the bytes behind a URL."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """Bytes of an http(s) or s3 URL.

        Raises:
            FetchError: one of its leaves.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
