"""A key's requests per second: one bucket for all contracts."""

from __future__ import annotations

from visavis_proxy.credentials import Key
from visavis_proxy.state import StateStore


class RateExceeded(Exception):
    """The key's ``qps`` is used up; the next moment it may not be."""


async def spend(key: Key, state: StateStore) -> None:
    """Count one request of a proven caller.

    Raises:
        RateExceeded: it is one too many.
        StateUnavailable: nobody can say.
    """
    if not await state.take(f"qps/{key.id}", key.qps):
        raise RateExceeded
