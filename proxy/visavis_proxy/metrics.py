"""Numbers for Prometheus, of all workers together where ``PROMETHEUS_MULTIPROC_DIR`` names a folder.

No label holds a key, a token or an address: contracts, statuses, outcomes and operations are few and known beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from visavis_proxy.build_info import BuildInfo
from visavis_proxy.gate import Gate, Level
from visavis_proxy.restarts import read_restarts
from visavis_proxy.results import Result
from visavis_proxy.stages import Stage

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
#: Where workers of one service count together; the launcher sets it.
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 16.0)
#: A call of the state takes less than a millisecond, and three seconds at worst.
_STATE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """What one worker counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "visavis_requests",
            "Answered requests; the outcome is the contract's own error code where its room names one, "
            "limit what refused a request that came too soon.",
            ("contract", "status", "outcome", "limit"),
            registry=self._registry,
        )
        self._request = self._histogram(
            "request", "From a request's head to its answer's end.", ("contract", "result"), _SECONDS
        )
        self._engine = self._histogram("engine", "One picture in the engine.", ("outcome",), _SECONDS)
        self._fetch = self._histogram("fetch", "One picture from elsewhere.", ("result",), _SECONDS)
        self._state = self._histogram(
            "state", "One call of the state's store.", ("backend", "operation", "result"), _STATE_SECONDS
        )
        # Sums and no histogram: those of engine, fetch and state have their own, and the others take a millisecond.
        self._stages = Counter(
            "visavis_stage_seconds",
            "Where the time of answered requests went; divided by their number, the stages add up to their mean.",
            ("contract", "stage"),
            registry=self._registry,
        )
        self._log_lines_dropped = Counter(
            "visavis_log_lines_dropped", "Lines of the log that nobody read in time.", registry=self._registry
        )
        self._dropped_before = 0
        self._stages_of: dict[str, tuple[Counter, ...]] = {}
        self._gauge("workers", "Processes of the proxy that live.").set(1)
        self._limits = (
            self._gauge("pictures_in_flight_limit", "Pictures that may be under way at once."),
            self._gauge("held_body_limit_bytes", "Bytes of request bodies and fetched pictures that may be held."),
        )
        waiting = self._gauge("requests_waiting", "Requests without a place in the engine yet.", ("stage",))
        self._levels: dict[Level, Gauge] = {
            Level.PICTURES: self._gauge("pictures_in_flight", "Pictures on their way to the engine, or in it."),
            Level.BODY_BYTES: self._gauge("held_body_bytes", "Bytes of request bodies and fetched pictures held."),
            Level.READING: waiting.labels("body"),
            Level.FETCHING: waiting.labels("fetch"),
        }

    def _histogram(self, what: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"visavis_{what}_duration_seconds", text, labels, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        # The sum over the workers that live: the launcher strikes out those that do not.
        return Gauge(f"visavis_{name}", text, labels, multiprocess_mode="livesum", registry=self._registry)

    def request_answered(
        self, contract: str, status: int, outcome: str, limit: str, result: Result, seconds: float
    ) -> None:
        """Count one answer."""
        self._requests.labels(contract, status, outcome, limit).inc()
        self._request.labels(contract, result.value).observe(seconds)

    def stages_passed(self, contract: str, seconds: Sequence[float]) -> None:
        """Add an answered request's seconds, by stage."""
        children = self._stages_of.get(contract)
        if children is None:
            children = tuple(self._stages.labels(contract, stage.name.lower()) for stage in Stage)
            self._stages_of[contract] = children
        for child, spent in zip(children, seconds, strict=True):
            if spent:
                child.inc(spent)

    def engine_answered(self, outcome: str, seconds: float) -> None:
        """Count one picture."""
        self._engine.labels(outcome).observe(seconds)

    def fetched(self, result: str, seconds: float) -> None:
        """Count one picture from elsewhere."""
        self._fetch.labels(result).observe(seconds)

    def state_called(self, backend: str, operation: str, result: str, seconds: float) -> None:
        """Count one call of the state's store."""
        self._state.labels(backend, operation, result).observe(seconds)

    def log_lines_dropped(self, so_far: int) -> None:
        """Show how many lines will not be written.

        To be told now and then, and not by whoever drops one: a counter has a lock, and while it is held Python may
        clean up objects whose last words are a line of the log.
        """
        self._log_lines_dropped.inc(so_far - self._dropped_before)
        self._dropped_before = so_far

    def watch(self, gate: Gate) -> None:
        """Show from now on what is under way at a worker's gate, and how much may be."""
        for gauge, limit in zip(self._limits, (gate.max_pictures, gate.max_body_bytes), strict=True):
            gauge.set(limit)
        gate.watch(lambda level, value: self._levels[level].set(value))

    def render(self, build: BuildInfo, *, engine_ready: bool) -> bytes:
        """Prometheus' text format."""
        now = CollectorRegistry()
        now.register(_Now(build, engine_ready))
        return (self._of_everyone() or generate_latest(self._registry)) + generate_latest(now)

    def _of_everyone(self) -> bytes | None:
        """What all workers counted; None where they do not count together, or their folder is gone."""
        # Once more where a file went while they were read.
        for _ in range(2):
            everyone = CollectorRegistry()
            try:
                MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
            except ValueError:
                return None
            with suppress(FileNotFoundError):
                return generate_latest(everyone)
        return None


class _Now(Collector):
    """What is not counted by the workers, but looked up for whoever asks."""

    def __init__(self, build: BuildInfo, engine_ready: bool) -> None:
        self._build = build
        self._engine_ready = engine_ready

    def collect(self) -> Iterator[Metric]:
        labels = ("version", "pack", "identity", "precision")
        build = GaugeMetricFamily("visavis_build_info", "The software and the models that it serves.", labels=labels)
        build.add_metric([getattr(self._build, label) for label in labels], 1)
        yield build
        yield GaugeMetricFamily("visavis_engine_ready", "Whether Triton has every model warm.", self._engine_ready)
        restarts = CounterMetricFamily(
            "visavis_restarts", "Times that it died and was started again.", labels=["process"]
        )
        for process, count in read_restarts(Path(os.environ[FOLDER])).items() if FOLDER in os.environ else ():
            restarts.add_metric([process], count)
        yield restarts
