"""The limit: images/s of decoder, detector and embedder in bare loops on all cores, each done in the best way here.

A machine that others use as well is faster in one minute than in the next. So the loops' processes stay, waiting
without any work, and every measurement that is judged has a short burst of them right before it and right after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from visavis_perf.bare import BATCHES, BareLoop, BareResult, Runtime, Way, Ways, runtimes
from visavis_perf.child import Child, LimitFailed

Sets = Mapping[str, Sequence[bytes]]
#: Processes that waited for minutes find cold caches and a core that clocked down.
WARM_UP_S = 0.5
#: Each way of running the graphs has so many turns before one is chosen.
TRIES = 3
_START_TIMEOUT_S = 120.0
_ANSWER_TIMEOUT_S = 30.0
_PARTS = ("decode", "detect", "embed")


@dataclass(frozen=True, slots=True)
class Burst:
    """What all cores together did in one short time."""

    images_per_s: float
    #: Milliseconds of one core for a picture, by part.
    core_ms: dict[str, float]

    @classmethod
    def of(cls, results: Sequence[BareResult]) -> Burst:
        """Sum the processes up."""
        images = max(1, sum(one.images for one in results))
        spent = (1000 * sum(one.stages[part] for one in results) / images for part in range(len(_PARTS)))
        rate = sum(one.images / one.seconds for one in results)
        return cls(rate, dict(zip(_PARTS, spent, strict=True)))


def cores() -> int:
    """Those this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0))


class BareProcesses:
    """One process of one thread on each core."""

    def __init__(self, runtimes: Sequence[Runtime], repository: Path, sets: Sets) -> None:
        self._children = [Child(BareLoop, runtimes, repository, sets, core) for core in range(cores())]

    def wait(self) -> dict[Runtime, str]:
        """Until every process has compiled its graphs; runtimes that cannot run them, and what they say.

        Raises:
            LimitFailed: a process ended.
        """
        for child in self._children:
            child.receive(_START_TIMEOUT_S)
        unable: dict[Runtime, str] = {}
        for child in self._children:
            child.send("told_unable")
            unable |= child.receive(_ANSWER_TIMEOUT_S)
        return unable

    def fastest_decoders(self) -> dict[str, str]:
        """By set; the other processes wait."""
        first = self._children[0]
        first.send("fastest_decoders")
        return dict(first.receive(_START_TIMEOUT_S))

    def keep(self, runtimes: Sequence[Runtime]) -> None:
        """Let the other runtimes' graphs go."""
        for child in self._children:
            child.send("keep", runtimes)
            child.receive(_ANSWER_TIMEOUT_S)

    def burst(self, name: str, ways: Ways, seconds: float) -> Burst:
        """Work through a set on all cores for so long, after a warm-up.

        Raises:
            LimitFailed: a process ended.
        """
        begin = time.monotonic() + WARM_UP_S
        for child in self._children:
            child.send("run", name, ways, begin, seconds)
        return Burst.of([child.receive(seconds + _ANSWER_TIMEOUT_S) for child in self._children])

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.close()


@dataclass(slots=True)
class Limits:
    """The limit with each set of pictures, measured as often as it is wanted."""

    #: The best ones, by set.
    ways: dict[str, Ways]
    #: Milliseconds of a core for a picture, at best, of every way of running the graphs that was tried.
    tried: dict[Way, dict[str, float]]
    #: Runtimes that cannot run the graphs, and what they say.
    unable: dict[Runtime, str]
    burst_seconds: float
    _processes: BareProcesses
    _bursts: dict[str, list[Burst]] = field(default_factory=dict)

    def burst(self, name: str) -> float:
        """Images a second now."""
        found = self._processes.burst(name, self.ways[name], self.burst_seconds)
        self._bursts.setdefault(name, []).append(found)
        return found.images_per_s

    def alone(self, name: str) -> Ways:
        """The best ones for a picture that nobody else's can be merged with."""
        detector, embedder = best_graphs({way: ms for way, ms in self.tried.items() if way.batch == 1})
        return Ways(self.ways[name].decoder, detector, embedder)

    def as_dict(self) -> dict[str, Any]:
        """For the results file: every burst, their median and how far the machine swung between them."""
        return {name: self._row(name, bursts) for name, bursts in self._bursts.items()}

    def _row(self, name: str, bursts: Sequence[Burst]) -> dict[str, Any]:
        rates = [burst.images_per_s for burst in bursts]
        return {
            "runtime": str(self.ways[name]),
            "processes": cores(),
            "images_per_s": median(rates),
            "slowest": min(rates),
            "fastest": max(rates),
            "bursts": [round(rate, 2) for rate in rates],
            "tried": {str(way): ms for way, ms in self.tried.items()},
            "unable": {str(runtime): said for runtime, said in self.unable.items()},
            "core_ms": {part: median(burst.core_ms[part] for burst in bursts) for part in _PARTS},
        }


@contextmanager
def limits(repository: Path, sets: Sets, *, try_seconds: float, burst_seconds: float) -> Iterator[Limits]:
    """Choose the best ways for each set; the processes stay until the end.

    Raises:
        LimitFailed: a graph is missing, or no runtime can run it.
    """
    for model in ("face_detector", "face_embedder"):
        if not (repository / model / "1" / "model.onnx").is_file():
            raise LimitFailed(f"{model} has no graph yet: run `make export`")
    installed = runtimes()
    processes = BareProcesses(installed, repository, sets)
    try:
        unable = processes.wait()
        able = [runtime for runtime in installed if runtime not in unable]
        if not able:
            raise LimitFailed("; ".join(unable.values()))
        decoders = processes.fastest_decoders()
        tried = _try(processes, able, next(iter(sets)), decoders, try_seconds)
        detector, embedder = best_graphs(tried)
        processes.keep([detector.runtime, embedder.runtime])
        ways = {name: Ways(decoder, detector, embedder) for name, decoder in decoders.items()}
        yield Limits(ways, tried, unable, burst_seconds, processes)
    finally:
        processes.close()


def best_graphs(tried: Mapping[Way, Mapping[str, float]]) -> tuple[Way, Way]:
    """The ways with the fewest milliseconds, for detector and embedder: they need not be the same."""
    return min(tried, key=lambda way: tried[way]["detect"]), min(tried, key=lambda way: tried[way]["embed"])


def _try(
    processes: BareProcesses, able: Sequence[Runtime], name: str, decoders: Mapping[str, str], seconds: float
) -> dict[Way, dict[str, float]]:
    """Best turn of each way, in turns: a neighbour's second of work must not choose."""
    ways = [Way(runtime, batch) for runtime in able for batch in BATCHES]
    bursts: dict[Way, list[Burst]] = {way: [] for way in ways}
    for _ in range(TRIES):
        for way in ways:
            bursts[way].append(processes.burst(name, Ways(decoders[name], way, way), seconds))
    return {
        way: {part: min(burst.core_ms[part] for burst in bursts[way]) for part in ("detect", "embed")} for way in ways
    }
