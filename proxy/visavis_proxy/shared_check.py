"""A question that anybody may ask at any time, and that costs somebody else work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

_KEPT_S: Final = 1.0
_Found = TypeVar("_Found")


class SharedCheck(Generic[_Found]):
    """Asks once for all who want to know at the same time, and for those who come within a second."""

    def __init__(self, ask: Callable[[], Awaitable[_Found]], clock: Callable[[], float]) -> None:
        """``ask`` takes a bounded time and never raises; ``clock`` gives seconds."""
        self._ask = ask
        self._clock = clock
        self._under_way: asyncio.Task[_Found] | None = None
        self._found: tuple[float, _Found] | None = None

    async def __call__(self) -> _Found:
        """What was found, a second ago at most."""
        # A clock that was set back keeps nothing for longer.
        if self._found is not None and 0 <= self._clock() - self._found[0] < _KEPT_S:
            return self._found[1]
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._look())
        # Who does not wait any longer leaves it to the others.
        return await asyncio.shield(self._under_way)

    async def _look(self) -> _Found:
        try:
            found = await self._ask()
            self._found = self._clock(), found
            return found
        finally:
            self._under_way = None
