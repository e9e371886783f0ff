"""The interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class StateUnavailable(Exception):
    """The store cannot be reached: the contract's busy or internal answer is due."""


class StateStore(Protocol):
    """Atomic across workers. Every call raises StateUnavailable where the store cannot be reached."""

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        """True for the first claim of a nonce in its space (contract and key) within ``ttl_s``, else False."""
        ...

    async def take(self, bucket: str, per_second: float) -> bool:
        """Take one request from a bucket that holds (one at least) and refills ``per_second``; False when empty."""
        ...

    async def spend(self, counter: str, quota: int, *, day: str) -> int | None:
        """Count one call of that day; what is left of the quota, or None (and no count) when it was used up."""
        ...

    async def remaining(self, counter: str, quota: int, *, day: str) -> int:
        """What is left of that day's quota."""
        ...

    async def keep(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """Keep values by their keys; gone after ``ttl_s``."""
        ...

    async def recall(self, keys: list[str]) -> list[bytes | None]:
        """The values of those keys, None for the unknown and the expired."""
        ...

    async def purge(self, *, expired_only: bool) -> int:
        """Delete kept values, all or the expired; how many went."""
        ...

    async def start(self) -> None:
        """Begin to delete what expires, also while nobody calls; who serves calls it once, before the first request."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
