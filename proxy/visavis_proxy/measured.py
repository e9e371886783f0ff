"""Engine, fetcher and state whose calls are timed and counted by how they ended, and complained of where they fail."""

from __future__ import annotations

import logging
import re
import time
from asyncio import CancelledError
from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

from visavis_client.engine import Engine
from visavis_client.errors import EngineBusy, EngineError, VisavisError
from visavis_client.faces import BoundingBox, ModelIdentity, PictureAnalysis
from visavis_proxy.complaints import Complaints
from visavis_proxy.fetch import Fetcher, FetchError, Hold, unheld
from visavis_proxy.gate import BodiesFull
from visavis_proxy.metrics import Metrics
from visavis_proxy.stages import Stage, during
from visavis_proxy.state import StateStore, StateUnavailable

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

CANCELLED: Final = "cancelled"
#: Of an exception that nobody expected.
UNEXPECTED: Final = "unexpected"
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def engine_outcome(error: BaseException) -> str:
    """The leaf of ``visavis_client.errors``, such as ``engine_busy``."""
    if isinstance(error, CancelledError):
        return CANCELLED
    return _words(error) if isinstance(error, VisavisError) else UNEXPECTED


def fetch_result(error: BaseException) -> str:
    """The leaf of the fetcher's tree without its first word, such as ``too_large``; of the gate's, ``no_room``."""
    if isinstance(error, CancelledError):
        return CANCELLED
    if isinstance(error, BodiesFull):
        return "no_room"
    return _words(error).removeprefix("fetch_") if isinstance(error, FetchError) else UNEXPECTED


def state_result(error: BaseException) -> str:
    """``unavailable`` is the store's own word for itself."""
    if isinstance(error, CancelledError):
        return CANCELLED
    return "unavailable" if isinstance(error, StateUnavailable) else UNEXPECTED


def _words(error: BaseException) -> str:
    return _CAPITAL.sub("_", type(error).__name__).lower()


class MeasuredEngine:
    """An engine whose answers are counted."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._complaints = Complaints(_log)

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
        begun, outcome = time.perf_counter(), "answered"
        try:
            with during(Stage.ENGINE, then=Stage.ANSWER):
                return await self._engine.analyse(image, max_faces=max_faces, region=region, timeout_s=timeout_s)
        except BaseException as error:
            outcome = engine_outcome(error)
            # A full queue is no fault, and is counted.
            if isinstance(error, EngineError) and not isinstance(error, EngineBusy):
                self._complaints.tell(error)
            raise
        finally:
            self._metrics.engine_answered(outcome, time.perf_counter() - begun)

    async def ready(self) -> bool:
        """See Engine."""
        return await self._engine.ready()

    async def close(self) -> None:
        """See Engine."""
        await self._engine.close()


class MeasuredFetcher:
    """A fetcher whose pictures are counted."""

    def __init__(self, fetcher: Fetcher, metrics: Metrics) -> None:
        self._fetcher = fetcher
        self._metrics = metrics

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        """See Fetcher."""
        begun, result = time.perf_counter(), "fetched"
        try:
            return await self._fetcher.fetch(url, max_bytes=max_bytes, hold=hold)
        except BaseException as error:
            result = fetch_result(error)
            raise
        finally:
            self._metrics.fetched(result, time.perf_counter() - begun)

    async def close(self) -> None:
        """See Fetcher."""
        await self._fetcher.close()


class MeasuredState:
    """A store whose calls are counted."""

    def __init__(self, store: StateStore, metrics: Metrics, *, backend: str) -> None:
        """``backend``: sqlite or redis."""
        self._store = store
        self._metrics = metrics
        self._backend = backend
        self._complaints = Complaints(_log)

    async def _timed(self, operation: str, call: Awaitable[Answer]) -> Answer:
        begun, result = time.perf_counter(), "ok"
        try:
            with during(Stage.STATE):
                return await call
        except BaseException as error:
            result = state_result(error)
            if isinstance(error, StateUnavailable):
                self._complaints.tell(error)
            raise
        finally:
            self._metrics.state_called(self._backend, operation, result, time.perf_counter() - begun)

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        """See StateStore."""
        return await self._timed("claim_nonce", self._store.claim_nonce(space, nonce, ttl_s))

    async def take(self, bucket: str, per_second: float) -> bool:
        """See StateStore."""
        return await self._timed("take", self._store.take(bucket, per_second))

    async def spend(self, counter: str, quota: int, *, day: str) -> int | None:
        """See StateStore."""
        return await self._timed("spend", self._store.spend(counter, quota, day=day))

    async def remaining(self, counter: str, quota: int, *, day: str) -> int:
        """See StateStore."""
        return await self._timed("remaining", self._store.remaining(counter, quota, day=day))

    async def keep(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """See StateStore."""
        await self._timed("keep", self._store.keep(values, ttl_s))

    async def recall(self, keys: list[str]) -> list[bytes | None]:
        """See StateStore."""
        return await self._timed("recall", self._store.recall(keys))

    async def purge(self, *, expired_only: bool) -> int:
        """See StateStore."""
        return await self._timed("purge", self._store.purge(expired_only=expired_only))

    async def start(self) -> None:
        """See StateStore."""
        await self._store.start()

    async def close(self) -> None:
        """See StateStore."""
        await self._store.close()
