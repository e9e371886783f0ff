"""Doing the same for both pictures of a comparison at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


async def both(first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]) -> tuple[First, Second]:
    """Run both at once.

    Where both fail, the first's error is raised, whichever came earlier: the same request always gets the same
    answer. A side whose outcome no longer matters is cancelled before this returns.
    """
    one, other = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        return await one, await other
    except BaseException:
        one.cancel()
        other.cancel()
        await asyncio.gather(one, other, return_exceptions=True)
        raise
    finally:
        # A task holds its error, whose traceback leads here and to all that its side held, pictures above all: in a
        # circle they would outlive the request until the next collection.
        del one, other
