"""Hand-written neighbours for unit tests of a contract room: everything in memory, nothing on the network."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from visavis_client.faces import Template
from visavis_client.fakes import FAKE_MODEL, FakeEngine
from visavis_client.operating_points import OperatingPoint, OperatingPoints
from visavis_proxy.build_info import BuildInfo
from visavis_proxy.credentials import Credentials, Key
from visavis_proxy.fetch import FetchError, FetchFailed, Hold, unheld
from visavis_proxy.gate import Gate
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings

#: Made up, of the default pack's size, for a fake model.
FAKE_POINTS = OperatingPoints(
    tuple(
        OperatingPoint(rate, threshold)
        for rate, threshold in ((1e-2, 0.296), (1e-3, 0.369), (1e-4, 0.442), (1e-5, 0.522), (1e-6, 0.625))
    ),
    FAKE_MODEL,
    "made up for tests",
)
TEST_KEY = Key(id="testAccessKeyId", secret="testAccessKeySecret", qps=1000)


class FakeState:
    """StateStore in a dictionary."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._nonces: dict[tuple[str, str], float] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._values: dict[str, tuple[float, bytes]] = {}

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        if self._nonces.get((space, nonce), 0.0) > self._clock():
            return False
        self._nonces[space, nonce] = self._clock() + ttl_s
        return True

    async def take(self, bucket: str, per_second: float) -> bool:
        held, then = self._buckets.get(bucket, (max(1.0, per_second), self._clock()))
        held = min(max(1.0, per_second), held + (self._clock() - then) * per_second)
        self._buckets[bucket] = (held - 1 if held >= 1 else held, self._clock())
        return held >= 1

    async def spend(self, counter: str, quota: int, *, day: str) -> int | None:
        used = self._counts.get((counter, day), 0)
        if used >= quota:
            return None
        self._counts[counter, day] = used + 1
        return quota - used - 1

    async def remaining(self, counter: str, quota: int, *, day: str) -> int:
        return max(0, quota - self._counts.get((counter, day), 0))

    async def keep(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        for key, value in values.items():
            self._values[key] = (self._clock() + ttl_s, value)

    async def recall(self, keys: list[str]) -> list[bytes | None]:
        found = [self._values.get(key) for key in keys]
        return [entry[1] if entry and entry[0] > self._clock() else None for entry in found]

    async def start(self) -> None:
        pass

    async def purge(self, *, expired_only: bool) -> int:
        gone = [k for k, (until, _) in self._values.items() if not expired_only or until <= self._clock()]
        for key in gone:
            del self._values[key]
        return len(gone)

    async def close(self) -> None:
        pass


class FakeFetcher:
    """Fetches from a dictionary; a value may be the error to raise."""

    def __init__(self, pictures: Mapping[str, bytes | FetchError] | None = None) -> None:
        self._pictures = dict(pictures or {})
        self.asked: list[str] = []

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        self.asked.append(url)
        found = self._pictures.get(url, FetchFailed("unknown to the fake fetcher"))
        if isinstance(found, FetchError):
            raise found
        hold(len(found))
        return found

    async def close(self) -> None:
        pass


class FakeFaceTokens:
    """FaceTokens in a dictionary."""

    def __init__(self) -> None:
        self._templates: dict[tuple[str, str], Template | None] = {}

    async def issue(self, owner: str, templates: Sequence[Template | None]) -> list[str]:
        tokens = [secrets.token_hex(16) for _ in templates]
        self._templates.update(zip(((owner, token) for token in tokens), templates, strict=True))
        return tokens

    async def find(self, owner: str, token: str) -> Template | None:
        return self._templates.get((owner, token))


def make_services(
    engine: FakeEngine,
    *,
    keys: Iterable[Key] = (TEST_KEY,),
    pictures: Mapping[str, bytes | FetchError] | None = None,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.time,
) -> Services:
    """What a room is given, all of it fake but the gate."""
    settings = settings or Settings()
    return Services(
        settings=settings,
        engine=engine,
        credentials=Credentials(keys),
        operating_points=FAKE_POINTS,
        state=FakeState(clock),
        fetcher=FakeFetcher(pictures),
        face_tokens=FakeFaceTokens(),
        gate=Gate(
            max_pictures=settings.max_in_flight,
            max_body_bytes=settings.max_body_bytes_held,
            body_timeout_s=settings.body_timeout_s,
        ),
        build=BuildInfo("0.0", "fake", FAKE_MODEL, "fp32"),
        clock=clock,
    )
