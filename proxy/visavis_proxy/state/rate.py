"""The arithmetic of a bucket, the same for every store.

Instead of a level and the time of the level, a bucket keeps the one moment at which it will be full again (the
"generic cell rate algorithm"). A bucket that is full needs no row at all, so that rows expire by themselves.
Everything is counted in whole microseconds, so that nothing is lost to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

#: A moment of fullness this much later than a drained bucket's can only stem from a clock that was set back.
CLOCK_SLACK_US = 60_000_000


class Bucket(NamedTuple):
    """A bucket that holds and refills ``per_second``, but holds one request at least."""

    #: One request's refill.
    interval_us: int
    #: A request is let through while the bucket will be full again within this time.
    tolerance_us: int


def bucket_of(per_second: float) -> Bucket:
    """The bucket of a rate above 0."""
    interval_us = round(1e6 / per_second)
    capacity = max(1.0, per_second)
    return Bucket(interval_us, round((capacity - 1.0) * interval_us))
