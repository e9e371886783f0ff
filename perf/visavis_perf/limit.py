"""The limit: images/s of decoder, detector and embedder in bare loops on all cores, by the best runtime here."""

from __future__ import annotations

import multiprocessing
import multiprocessing.queues
import multiprocessing.synchronize
import os
import queue
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from visavis_perf.bare import BareResult, Runtime, loop, runtimes

_START_TIMEOUT_S = 120.0


class LimitFailed(Exception):
    """A bare loop did not come to its end; the text says which."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What no service on this machine can beat with these graphs and these pictures."""

    runtime: str
    processes: int
    images_per_s: float
    #: Every run's rate of the runtime that won.
    runs: tuple[float, ...]
    #: Rates of all runtimes tried, in a shorter run each.
    tried: dict[str, float]
    #: Milliseconds of one core for decode, detect and embed.
    core_ms: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


def cores() -> int:
    """Those this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0))


def measure(repository: Path, jpegs: Sequence[bytes], *, seconds: float, runs: int = 3) -> Limit:
    """Try every runtime shortly, then the best one ``runs`` times; the limit is the median.

    Raises:
        LimitFailed: a graph is missing, or a runtime cannot run it.
    """
    for model in ("face_detector", "face_embedder"):
        if not (repository / model / "1" / "model.onnx").is_file():
            raise LimitFailed(f"{model} has no graph yet: run `make models`")
    tried: dict[str, float] = {}
    # Twice around, best of each: a neighbour's second of work must not choose the runtime.
    for runtime in (*runtimes(), *runtimes()):
        rate = _rate(_all_cores(runtime, repository, jpegs, max(1.0, seconds / 4)))
        tried[str(runtime)] = max(rate, tried.get(str(runtime), 0.0))
    best = max(tried, key=lambda name: tried[name])
    results = [_all_cores(Runtime.parse(best), repository, jpegs, seconds) for _ in range(runs)]
    rates = tuple(_rate(result) for result in results)
    every = [one for result in results for one in result]
    images = sum(one.images for one in every)
    per_stage = [1000 * sum(one.stages[stage] for one in every) / images for stage in range(3)]
    return Limit(
        runtime=best,
        processes=cores(),
        images_per_s=median(rates),
        runs=rates,
        tried=tried,
        core_ms=dict(zip(("decode", "detect", "embed"), per_stage, strict=True)),
    )


def _rate(results: Sequence[BareResult]) -> float:
    return sum(one.images / one.seconds for one in results)


def _all_cores(runtime: Runtime, repository: Path, jpegs: Sequence[bytes], seconds: float) -> list[BareResult]:
    """One process of one thread on each core, all measuring at the same time."""
    context = multiprocessing.get_context("spawn")
    count = cores()
    barrier = context.Barrier(count)
    answers: multiprocessing.queues.Queue[BareResult] = context.Queue()
    processes = [
        context.Process(target=_measure_in_child, args=(runtime, repository, jpegs, seconds, barrier, core, answers))
        for core in range(count)
    ]
    for process in processes:
        process.start()
    try:
        return [answers.get(timeout=_START_TIMEOUT_S + seconds) for _ in processes]
    except queue.Empty:
        raise LimitFailed(f"the bare loop with {runtime} ended early; its error stands above") from None
    finally:
        for process in processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()


def _measure_in_child(
    runtime: Runtime,
    repository: Path,
    jpegs: Sequence[bytes],
    seconds: float,
    barrier: multiprocessing.synchronize.Barrier,
    core: int,
    answers: multiprocessing.queues.Queue[BareResult],
) -> None:
    answers.put(loop(runtime, repository, jpegs, seconds, lambda: barrier.wait(_START_TIMEOUT_S), core))
