"""HTTP load at a constant arrival rate: a request leaves at its time, however late the answers before it are.

Latency counts from the time at which a request was due, not from the time at which it left, so a stalled service or
a late generator shows in the percentiles instead of hiding there.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import aiohttp
import uvloop

from visavis_perf.contracts import Body, Contract
from visavis_perf.samples import Sample

#: What the vendors' clients wait; a request that takes longer has failed.
CLIENT_TIMEOUT_S = 10.0
#: One generator process sends at most so many requests a second, far under what it could.
_RATE_OF_A_PROCESS = 400.0
_START_DELAY_S = 0.05


@dataclass(frozen=True, slots=True)
class Load:
    """What to send where."""

    url: str
    contract: Contract
    bodies: Sequence[Body]
    #: Requests a second, all generator processes together.
    rate: float
    seconds: float
    timeout_s: float = CLIENT_TIMEOUT_S


def run(load: Load) -> list[Sample]:
    """Send the whole load and wait for every answer; samples in order of their due times."""
    shards = max(1, round(load.rate / _RATE_OF_A_PROCESS))
    if shards == 1:
        return _run_shard(load, 0, 1, time.monotonic() + _START_DELAY_S)
    with ProcessPoolExecutor(shards, mp_context=get_context("spawn")) as pool:
        # Monotonic time is the machine's, so that all processes share one clock; they need a second to come up.
        start = time.monotonic() + 2.0 + 0.2 * shards
        parts = [pool.submit(_run_shard, load, shard, shards, start) for shard in range(shards)]
        samples = [sample for part in parts for sample in part.result()]
    return sorted(samples, key=lambda sample: sample.due_s)


def _run_shard(load: Load, shard: int, shards: int, start: float) -> list[Sample]:
    return uvloop.run(_Generator(load, start).send(range(shard, int(load.rate * load.seconds), shards)))


class _Generator:
    """One process's share."""

    def __init__(self, load: Load, start: float) -> None:
        self._load = load
        self._start = start
        self._host = load.url.split("://", 1)[1].rstrip("/")
        self._url = load.url.rstrip("/") + load.contract.path
        self._samples: list[Sample] = []

    async def send(self, turns: range) -> list[Sample]:
        """Requests by number: number ``i`` is due ``i / rate`` seconds after the start."""
        timeout = aiohttp.ClientTimeout(total=self._load.timeout_s)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
            for turn in turns:
                due = self._start + turn / self._load.rate
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                group.create_task(self._one(session, turn, due))
        return sorted(self._samples, key=lambda sample: sample.due_s)

    async def send_in_turn(self, count: int) -> list[Sample]:
        """One request at a time on one connection."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._load.timeout_s)) as session:
            for turn in range(count):
                await self._one(session, turn, time.monotonic())
        return self._samples

    async def send_closed(self, at_once: int) -> list[Sample]:
        """So many callers, each of which sends its next request when it has the answer to its last."""
        timeout = aiohttp.ClientTimeout(total=self._load.timeout_s)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
            for caller in range(at_once):
                group.create_task(self._call_on(session, caller, at_once))
        return sorted(self._samples, key=lambda sample: sample.due_s)

    async def _call_on(self, session: aiohttp.ClientSession, caller: int, callers: int) -> None:
        for turn in itertools.count(caller, callers):
            now = time.monotonic()
            if now >= self._start + self._load.seconds:
                return
            await self._one(session, turn, now)

    async def _one(self, session: aiohttp.ClientSession, turn: int, due: float) -> None:
        body = self._load.bodies[turn % len(self._load.bodies)]
        headers = dict(self._load.contract.headers(self._host, body))
        sent = time.monotonic()
        try:
            async with session.post(self._url, data=body.data, headers=headers) as response:
                kind = self._load.contract.judge(response.status, await response.read())
        except TimeoutError:
            kind = "timeout"
        except (aiohttp.ClientError, OSError) as error:
            kind = type(error).__name__
        done = time.monotonic()
        self._samples.append(Sample(due - self._start, sent - due, done - due, kind))


def run_idle(load: Load, count: int) -> list[Sample]:
    """An idle service's latency: the next request leaves when the answer before it is there; rate is not read."""
    return uvloop.run(_Generator(load, time.monotonic()).send_in_turn(count))


def run_closed(load: Load, at_once: int) -> list[Sample]:
    """A closed loop for ``load.seconds``: fills a service whose rate nobody knows; rate is not read."""
    return uvloop.run(_Generator(load, time.monotonic()).send_closed(at_once))
