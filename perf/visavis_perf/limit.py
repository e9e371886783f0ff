"""The limit: images/s of decoder, detector and embedder in bare loops on all cores, by the best runtime here.

A machine that others use as well is faster in one minute than in the next. So the loops' processes stay, waiting
without any work, and every measurement that is judged has a short burst of them right before it and right after it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from visavis_perf.bare import BareLoop, BareResult, Runtime, runtimes

Sets = Mapping[str, Sequence[bytes]]
#: Processes that waited for minutes find cold caches and a core that clocked down.
WARM_UP_S = 0.5
#: Each runtime has so many turns with each set before one is chosen.
TRIES = 2
_START_TIMEOUT_S = 120.0
_ANSWER_TIMEOUT_S = 30.0
_FAULT_LENGTH = 300
_PARTS = ("decode", "detect", "embed")


class LimitFailed(Exception):
    """A bare loop did not come to its end; the text says which."""


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
    """One process of one thread on each core; between bursts they wait for a pipe."""

    def __init__(self, runtime: Runtime, repository: Path, sets: Sets) -> None:
        context = multiprocessing.get_context("spawn")
        self._runtime = runtime
        self._pipes: list[Connection] = []
        self._processes = []
        for core in range(cores()):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve_bursts, args=(theirs, runtime, repository, sets, core), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def wait(self) -> None:
        """Until every process has compiled its graphs.

        Raises:
            LimitFailed: a runtime cannot run them.
        """
        faults = {self._receive(pipe, _START_TIMEOUT_S) for pipe in self._pipes} - {None}
        if faults:
            raise LimitFailed(f"{self._runtime} cannot run these graphs: {'; '.join(faults)}")

    def burst(self, name: str, seconds: float) -> Burst:
        """Work through a set on all cores for so long, after a warm-up.

        Raises:
            LimitFailed: a process ended.
        """
        begin = time.monotonic() + WARM_UP_S
        for pipe in self._pipes:
            # One that has ended is found out below, by the answer that does not come.
            with contextlib.suppress(ConnectionError):
                pipe.send((name, begin, seconds))
        return Burst.of([self._receive(pipe, seconds + _ANSWER_TIMEOUT_S) for pipe in self._pipes])

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()

    def _receive(self, pipe: Connection, timeout_s: float) -> Any:
        try:
            if pipe.poll(timeout_s):
                return pipe.recv()
        except (EOFError, ConnectionError):
            raise LimitFailed(f"the bare loop with {self._runtime} ended; its error stands above") from None
        raise LimitFailed(f"the bare loop with {self._runtime} gave no answer in time")


def _serve_bursts(pipe: Connection, runtime: Runtime, repository: Path, sets: Sets, core: int) -> None:
    """A process's life: it ends with the bench, whose interrupt from the keyboard is not its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        loop = BareLoop(runtime, repository, sets, core)
    except Exception as error:
        # Whatever a runtime says of a graph that it cannot compile: it has no error of its own that all share.
        pipe.send(" ".join(f"{type(error).__name__}: {error}".split())[-_FAULT_LENGTH:])
        return
    pipe.send(None)
    while True:
        try:
            name, begin, seconds = pipe.recv()
        except EOFError:
            return
        pipe.send(loop.run(name, begin, seconds))


@dataclass(slots=True)
class Limits:
    """The limit with each set of pictures, measured as often as it is wanted."""

    #: By set.
    runtimes: dict[str, Runtime]
    #: Best rate of every runtime when they were tried, by set.
    tried: dict[str, dict[str, float]]
    #: Runtimes that cannot run the graphs, and what they say.
    unable: dict[str, str]
    burst_seconds: float
    _processes: Mapping[Runtime, BareProcesses]
    _bursts: dict[str, list[Burst]] = field(default_factory=dict)

    def burst(self, name: str) -> float:
        """Images a second now."""
        found = self._processes[self.runtimes[name]].burst(name, self.burst_seconds)
        self._bursts.setdefault(name, []).append(found)
        return found.images_per_s

    def as_dict(self) -> dict[str, Any]:
        """For the results file: every burst, their median and how far the machine swung between them."""
        return {name: self._row(name, bursts) for name, bursts in self._bursts.items()}

    def _row(self, name: str, bursts: Sequence[Burst]) -> dict[str, Any]:
        rates = [burst.images_per_s for burst in bursts]
        return {
            "runtime": str(self.runtimes[name]),
            "processes": cores(),
            "images_per_s": median(rates),
            "slowest": min(rates),
            "fastest": max(rates),
            "bursts": [round(rate, 2) for rate in rates],
            "tried": self.tried[name],
            "unable": self.unable,
            "core_ms": {part: median(burst.core_ms[part] for burst in bursts) for part in _PARTS},
        }


@contextmanager
def limits(repository: Path, sets: Sets, *, try_seconds: float, burst_seconds: float) -> Iterator[Limits]:
    """Choose the best runtime for each set; its processes stay until the end.

    Raises:
        LimitFailed: a graph is missing, or no runtime can run it.
    """
    for model in ("face_detector", "face_embedder"):
        if not (repository / model / "1" / "model.onnx").is_file():
            raise LimitFailed(f"{model} has no graph yet: run `make export`")
    with ExitStack() as stack:
        processes: dict[Runtime, BareProcesses] = {}
        for runtime in runtimes():
            processes[runtime] = BareProcesses(runtime, repository, sets)
            stack.callback(processes[runtime].close)
        unable = _leave_out_unable(processes)
        if not processes:
            raise LimitFailed("; ".join(unable.values()))
        tried = {name: _try(processes, name, try_seconds) for name in sets}
        chosen = {name: max(rates, key=lambda runtime: rates[runtime]) for name, rates in tried.items()}
        for runtime in set(processes) - set(chosen.values()):
            processes[runtime].close()
        told = {name: {str(runtime): rate for runtime, rate in rates.items()} for name, rates in tried.items()}
        yield Limits(chosen, told, unable, burst_seconds, processes)


def _leave_out_unable(processes: dict[Runtime, BareProcesses]) -> dict[str, str]:
    """Wait for all of them; those that fail leave the table, and what they say is told."""
    unable = {}
    for runtime, some in tuple(processes.items()):
        try:
            some.wait()
        except LimitFailed as error:
            unable[str(runtime)] = str(error)
            processes.pop(runtime).close()
    return unable


def _try(processes: Mapping[Runtime, BareProcesses], name: str, seconds: float) -> dict[Runtime, float]:
    """Best turn of each runtime, in turns: a neighbour's second of work must not choose."""
    best = dict.fromkeys(processes, 0.0)
    for _ in range(TRIES):
        for runtime, some in processes.items():
            best[runtime] = max(best[runtime], some.burst(name, seconds).images_per_s)
    return best
