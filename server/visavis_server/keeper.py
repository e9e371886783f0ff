"""Keeping a process up: start it, wait for its end, start it again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from visavis_server.backoff import Backoff
from visavis_server.errors import CommandFailed

logger = logging.getLogger(__name__)


class Kept(Protocol):
    """One run of a process."""

    async def start(self) -> None:
        """Start it and wait until it does its work.

        Raises:
            CommandFailed: it could not be started.
        """
        ...

    async def ended(self) -> str:
        """Wait until it has ended, or must be replaced; returns what happened, for the log."""
        ...

    async def stop(self) -> None:
        """Let it finish what it is doing, within a bounded time, and end it; fine if it has ended."""
        ...


class Keeper:
    """Runs a process again and again until it is told to stop."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Kept],
        *,
        backoff: Backoff,
        on_up: Callable[[], None] = lambda: None,
        on_again: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_up`` is called every time that the process does its work, ``on_again`` before every run but the first.

        ``make`` may raise CommandFailed where there must be no further run.
        """
        self._name = name
        self._make = make
        self._backoff = backoff
        self._on_up = on_up
        self._on_again = on_again
        self._sleep = sleep
        self._clock = clock
        #: Set from the first time on that it was up.
        self.was_up = asyncio.Event()

    async def run(self) -> None:
        """Keep it up until cancelled; then it has been stopped.

        Raises:
            CommandFailed: it could not be started the first time, so that there is nothing to be kept up, or must not
                be started again.
        """
        while True:
            began = self._clock()
            process = self._make()
            try:
                await process.start()
                self.was_up.set()
                self._on_up()
                reason = await process.ended()
            except CommandFailed as error:
                if not self.was_up.is_set():
                    raise
                reason = str(error)
            finally:
                await _to_its_end(process.stop())
            delay_s = self._backoff.after(self._clock() - began)
            logger.error("%s: %s; starting it again in %.1f s", self._name, reason, delay_s)
            await self._sleep(delay_s)
            self._on_again()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for it however often the waiting is cancelled: what is left half stopped would stay."""
    task = asyncio.ensure_future(work)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    task.result()
