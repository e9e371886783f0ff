"""A clock that stands still until it is put forward, or back."""

from __future__ import annotations


class Clock:
    """Seconds since the epoch."""

    def __init__(self, now: float = 1_790_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    async def pass_time(self, duration_s: float) -> None:
        self.now += duration_s
