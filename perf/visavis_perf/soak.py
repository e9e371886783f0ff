"""Twenty minutes at a good load: it must be answered, and the memory of every process must stay where it is.

A leak goes on, minute after minute; an allocator's step, a batch of a length that is new, happens once. So the second
half is cut into ten parts, the median of each is taken, and a process is judged by the nine differences between them.
Whatever the noise, their true median lies beyond the second largest in 2 of 100 soaks (10 of 512: at most one of nine
coins shows heads). That one, divided by the comparisons meanwhile, is the leak that a soak excludes. One large step is
forgiven by this, two are not.

Memory comes in pages of 4 KiB where Python takes it, and in huge ones of 2 MiB where a library does: a library's leak
shows from about two of these in the second half.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from visavis_perf.contracts import bodies
from visavis_perf.http_steps import contracts
from visavis_perf.limit import limits
from visavis_perf.load import Load, run
from visavis_perf.pictures import pictures
from visavis_perf.places import REPOSITORY, RESULTS
from visavis_perf.processes import part_of
from visavis_perf.samples import Summary, summarise
from visavis_perf.service import serving

_SAMPLE_EVERY_S = 5.0
#: Looks in a soak at least, however short: three in each part of its second half.
_LOOKS = 60
#: Of the limit: high enough that every stage works all the time, low enough that no queue grows.
_LOAD_SHARE = 0.5
#: Of what is offered: a service that refuses everything leaks nothing.
LEAST_ANSWERED = 0.95
#: Allocators settle and caches fill in the first half.
_PARTS = 10
#: Of the nine differences, those that are larger than the one that counts.
_FORGIVEN = 1
#: Of a comparison, in any process: two small objects of Python, one for each picture.
FLAT_BYTES = 128.0
SHARED = "shared memory of the machine"
Memory = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory of one process, or of all shared memory, in the second half."""

    process: str
    first_mib: float
    last_mib: float
    #: In a comparison: the median part's growth, and the leak that is excluded.
    bytes: float
    bytes_at_most: float
    #: Whether it was there all the time: one that ended or was started anew hides its growth.
    stayed: bool

    @property
    def fault(self) -> str | None:
        """Why it does not stay where it is, if so."""
        if not self.stayed:
            return f"{self.process} was not there all the time"
        if self.bytes > FLAT_BYTES:
            return f"{self.process} grows by {self.bytes:.0f} bytes a comparison"
        if self.bytes_at_most > FLAT_BYTES:
            return f"{self.process} moves so much that {self.bytes_at_most:.0f} bytes a comparison may leak"
        return None


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
        every = min(_SAMPLE_EVERY_S, seconds / _LOOKS)
        watcher = threading.Thread(target=_watch, args=(service.pid, watched, over, every))
        watcher.start()
        say(f"{minutes:g} minutes at {rate:.1f} comparisons a second")
        try:
            samples = run(Load(service.url, contract, bodies(contract, jpegs), rate, seconds))
        finally:
            over.set()
            watcher.join()
    summary = summarise(samples, rate=rate, seconds=seconds)
    growths = growth(watched, seconds, rate)
    return {
        "minutes": minutes,
        "summary": summary.as_dict(),
        "processes": [asdict(one) for one in growths],
        "faults": faults(summary, growths),
    }


def faults(summary: Summary, growths: Sequence[Growth]) -> list[str]:
    """Why a soak fails; nothing where it does not."""
    found = [one.fault for one in growths if one.fault]
    if not growths:
        found.append("no process was there to be watched for half of the time")
    if summary.wrong:
        found.append(f"{summary.wrong} answers were neither good nor a refusal")
    if summary.good < LEAST_ANSWERED * summary.requests:
        found.append(f"only {summary.good} of {summary.requests} comparisons were answered, {summary.busy} refused")
    return found


def _watch(pid: int, watched: Memory, over: threading.Event, every_s: float) -> None:
    """Private memory of a process and all its descendants, and what the machine holds in shared memory.

    That is /dev/shm and memory files, pictures between two steps among them: a page there would be counted once for
    each process, or for none.
    """
    start = time.monotonic()
    while not over.wait(every_s):
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


def growth(watched: Mapping[str, Sequence[tuple[float, float]]], seconds: float, rate: float) -> list[Growth]:
    """Of each process in the second half; ``rate``: comparisons a second.

    One that was not there in every part has no growth, and did not stay.
    """
    part_s = seconds / 2 / _PARTS
    rows = []
    for process, seen in sorted(watched.items()):
        parts: list[list[float]] = [[] for _ in range(_PARTS)]
        for at, mib in seen:
            if seconds / 2 <= at < seconds:
                parts[min(int((at - seconds / 2) / part_s), _PARTS - 1)].append(mib)
        levels = [median(part) for part in parts if part] or [seen[-1][1]]
        stayed = len(levels) == _PARTS
        added = sorted((after - before) * 2**20 / (rate * part_s) for before, after in pairwise(levels))
        typical, most = (median(added), added[-1 - _FORGIVEN]) if stayed else (0.0, 0.0)
        rows.append(
            Growth(process, round(levels[0], 2), round(levels[-1], 2), round(typical, 1), round(most, 1), stayed)
        )
    return rows


def line(folder: Path = RESULTS / "soak") -> str:
    """One sentence about the newest soak that lies there; nothing without one."""
    newest = max(folder.glob("*.json"), default=None)
    if newest is None:
        return ""
    told = json.loads(newest.read_text("utf-8"))
    summary = told["summary"]
    most = max((row["bytes_at_most"] for row in told["processes"]), default=0.0)
    memory = f"a leak of more than {max(most, 0.0):.0f} bytes a comparison is excluded for every process"
    return (
        f"**Soak**, revision {told['revision']} (`results/soak/{newest.name}`): {told['minutes']:g} minutes at "
        f"{summary['rate']:.1f} comparisons a second, {summary['good']} of {summary['requests']} answered; "
        + (f"it failed: {'; '.join(told['faults'])}." if told["faults"] else f"{memory}.")
    )
