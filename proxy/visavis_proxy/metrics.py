"""Counts and durations for Prometheus, of all workers together where ``PROMETHEUS_MULTIPROC_DIR`` names a folder.

No label holds a key, a token or an address: contracts, statuses and outcomes are few and known beforehand.
"""

from __future__ import annotations

import os
import time
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from visavis_client.engine import Engine
from visavis_client.faces import BoundingBox, ModelIdentity, PictureAnalysis

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 16.0)


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
        self._request_seconds = Histogram(
            "visavis_request_seconds",
            "From the request's head to its answer's end.",
            ("contract",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._engine_seconds = Histogram(
            "visavis_engine_seconds",
            "One picture in the engine.",
            ("outcome",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def request_answered(self, contract: str, status: int, outcome: str, limit: str, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(contract, status, outcome, limit).inc()
        self._request_seconds.labels(contract).observe(seconds)

    def engine_answered(self, outcome: str, seconds: float) -> None:
        """Count one picture; ``outcome`` is ``answered`` or the name of an error's class."""
        self._engine_seconds.labels(outcome).observe(seconds)

    def render(self) -> bytes:
        """Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)


class MeasuredEngine:
    """An engine whose answers are counted."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    @property
    def model(self) -> ModelIdentity:
        """See Engine."""
        return self._engine.model

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,
    ) -> PictureAnalysis:
        """See Engine."""
        begun = time.perf_counter()
        outcome = "Cancelled"
        try:
            analysis = await self._engine.analyse(image, max_faces=max_faces, region=region, timeout_s=timeout_s)
            outcome = "answered"
            return analysis
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            self._metrics.engine_answered(outcome, time.perf_counter() - begun)

    async def ready(self) -> bool:
        """See Engine."""
        return await self._engine.ready()

    async def close(self) -> None:
        """See Engine."""
        await self._engine.close()
