"""Twenty minutes at a good load: the memory of every process must stay where it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from visavis_perf.contracts import bodies
from visavis_perf.http_steps import contracts
from visavis_perf.limit import limits
from visavis_perf.load import Load, run
from visavis_perf.pictures import pictures
from visavis_perf.places import REPOSITORY
from visavis_perf.processes import part_of
from visavis_perf.samples import summarise
from visavis_perf.service import serving

_SAMPLE_EVERY_S = 5.0
#: Of the limit: high enough that every stage works all the time, low enough that no queue grows.
_LOAD_SHARE = 0.5
#: Allocators settle and caches fill at first; only what comes after counts.
_SETTLE_SHARE = 0.25
#: Growth that counts as flat, in an hour: noise of allocators, far under any leak of one object a request.
FLAT_MIB_PER_HOUR = 30.0
SHARED = "shared memory of the machine"
Memory = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory of one process, or of all shared memory."""

    process: str
    first_mib: float
    last_mib: float
    mib_per_hour: float
    #: Whether it was there all the time: one that ended or was started anew hides its growth.
    stayed: bool

    @property
    def flat(self) -> bool:
        """Whether it stays where it is."""
        return self.stayed and self.mib_per_hour <= FLAT_MIB_PER_HOUR


def soak(minutes: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Face++ comparisons at half the limit for so long, memory of every process watched meanwhile."""
    jpegs = pictures("250")
    with limits(REPOSITORY, {"250": jpegs}, try_seconds=1.0, burst_seconds=3.0) as found:
        rate = max(1.0, _LOAD_SHARE * found.burst("250") / 2)
    seconds = 60 * minutes
    with serving() as service:
        contract = contracts(service)["facepp"]
        watched: Memory = {}
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(service.pid, watched, over))
        watcher.start()
        say(f"{minutes:g} minutes at {rate:.1f} comparisons a second")
        try:
            samples = run(Load(service.url, contract, bodies(contract, jpegs), rate, seconds))
        finally:
            over.set()
            watcher.join()
    summary = summarise(samples, rate=rate, seconds=seconds)
    growths = growth(watched, seconds)
    return {
        "minutes": minutes,
        "summary": summary.as_dict(),
        "wrong": summary.wrong,
        "processes": [
            {"process": one.process, "first_mib": one.first_mib, "last_mib": one.last_mib,
             "mib_per_hour": one.mib_per_hour, "stayed": one.stayed, "flat": one.flat}
            for one in growths
        ],
    }  # fmt: skip


def _watch(pid: int, watched: Memory, over: threading.Event) -> None:
    """Private memory of a process and all its descendants, and what the machine holds in shared memory.

    That is /dev/shm and memory files, pictures between two steps among them: a page there would be counted once for
    each process, or for none.
    """
    start = time.monotonic()
    while not over.wait(_SAMPLE_EVERY_S):
        try:
            family = [root := psutil.Process(pid), *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        watched.setdefault(SHARED, []).append((time.monotonic() - start, psutil.virtual_memory().shared / 2**20))
        for process in family:
            try:
                name = f"{part_of(process.cmdline())} {process.pid}"
                memory = process.memory_full_info().uss / 2**20
            except psutil.Error:
                continue
            watched.setdefault(name, []).append((time.monotonic() - start, memory))


def growth(watched: Mapping[str, Sequence[tuple[float, float]]], seconds: float) -> list[Growth]:
    """Slope of each process's memory after it settled; of one that was there for less than two looks it is 0."""
    rows = []
    settled = {
        process: [(at, mib) for at, mib in seen if at >= _SETTLE_SHARE * seconds] for process, seen in watched.items()
    }
    looks = max(map(len, settled.values()), default=0)
    for process, seen in sorted(settled.items()):
        if not seen:
            continue
        times, memory = np.array(seen).T
        slope = float(np.polyfit(times, memory, 1)[0]) * 3600 if len(seen) > 1 else 0.0
        stayed = len(seen) >= looks - 1
        rows.append(Growth(process, round(memory[0], 1), round(memory[-1], 1), round(slope, 2), stayed))
    return rows
