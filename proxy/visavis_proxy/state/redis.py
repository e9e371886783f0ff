"""State of a cluster: one Redis (or a compatible server) that all machines share.

Not Redis Cluster: values of one answer are written together, and would lie on several of its nodes.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from visavis_proxy.state.names import encode, nonce_digest
from visavis_proxy.state.rate import CLOCK_SLACK_US, bucket_of
from visavis_proxy.state.store import StateUnavailable

#: How long a caller waits for one of a worker's connections, for a new one, and for an answer. One request waits for
#: each once at most, so that a server that hangs delays nobody by more than three seconds.
_TURN_S = 1.0
_CONNECT_S = 1.0
_ANSWER_S = 1.0
_CONNECTIONS = 16
#: Daily counts outlive their day in every time zone.
_COUNT_LIFE_S = 3 * 86400
_PURGED_AT_ONCE = 500

_NONCE, _BUCKET, _DAILY, _KEPT = b"visavis:nonce:", b"visavis:bucket:", b"visavis:daily:", b"visavis:kept:"

#: The moment at which the bucket is full again, in microseconds of the server's clock. One that a clock set back
#: put out of reach counts as full. ARGV: interval, tolerance, slack.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
if full > now + ARGV[2] + ARGV[3] then full = now end
if full > now + ARGV[2] then return 0 end
full = full + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
return 1
"""
#: ARGV: quota, life in seconds.
_SPEND = """
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then return -1 end
local used = redis.call('INCR', KEYS[1])
if used == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return ARGV[1] - used
"""


class RedisStore:
    """Every operation is one command, one script or one transaction; time is the server's.

    A command whose answer was lost is sent once more: a nonce may then be refused that was new, and a call be
    counted twice; never is a nonce taken twice.
    """

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Raises:
            ValueError: no URL of a Redis.
        """
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_TURN_S,
            socket_connect_timeout=_CONNECT_S,
            socket_timeout=_ANSWER_S,
            health_check_interval=30,
            # Not where time ran out: the caller's patience did too.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._redis = redis.asyncio.Redis.from_pool(pool)
        self._take = self._redis.register_script(_TAKE)
        self._spend = self._redis.register_script(_SPEND)

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        """See StateStore."""
        with _unavailable():
            key = _NONCE + nonce_digest(space, nonce)
            return bool(await self._redis.set(key, b"", nx=True, px=_milliseconds(ttl_s)))

    async def take(self, bucket: str, per_second: float) -> bool:
        """See StateStore."""
        interval_us, tolerance_us = bucket_of(per_second)
        with _unavailable():
            arguments = [interval_us, tolerance_us, interval_us + CLOCK_SLACK_US]
            return bool(await self._take(keys=[_BUCKET + encode(bucket)], args=arguments))

    async def spend(self, counter: str, quota: int, *, day: str) -> int | None:
        """See StateStore."""
        with _unavailable():
            left = int(await self._spend(keys=[_daily_key(counter, day)], args=[quota, _COUNT_LIFE_S]))
        return left if left >= 0 else None

    async def remaining(self, counter: str, quota: int, *, day: str) -> int:
        """See StateStore."""
        with _unavailable():
            used = await self._redis.get(_daily_key(counter, day))
        return max(0, quota - int(used or 0))

    async def keep(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """See StateStore."""
        with _unavailable():
            async with self._redis.pipeline(transaction=True) as pipeline:
                for key, value in values.items():
                    pipeline.set(_KEPT + encode(key), value, px=_milliseconds(ttl_s))
                await pipeline.execute()

    async def recall(self, keys: list[str]) -> list[bytes | None]:
        """See StateStore."""
        if not keys:
            return []
        with _unavailable():
            found = await cast(Awaitable[list[Any]], self._redis.mget([_KEPT + encode(key) for key in keys]))
        return list(found)

    async def purge(self, *, expired_only: bool) -> int:
        """See StateStore; Redis deletes what expires by itself, so that there are never any of those."""
        if expired_only:
            return 0
        gone, batch = 0, list[bytes]()
        with _unavailable():
            async for key in self._redis.scan_iter(match=_KEPT + b"*", count=_PURGED_AT_ONCE):
                batch.append(key)
                if len(batch) == _PURGED_AT_ONCE:
                    gone += await self._redis.unlink(*batch)
                    batch.clear()
            if batch:
                gone += await self._redis.unlink(*batch)
        return gone

    async def start(self) -> None:
        """See StateStore; Redis needs nobody for it."""

    async def close(self) -> None:
        """See StateStore."""
        await self._redis.aclose()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StateUnavailable(f"Redis: {error}") from error


def _daily_key(counter: str, day: str) -> bytes:
    return _DAILY + encode(f"{day} {counter}")


def _milliseconds(duration_s: float) -> int:
    return max(1, math.ceil(duration_s * 1000))
