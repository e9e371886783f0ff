"""Numbers of several workers are told together, and what is under way is told while it is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import FakeFetcher, FakeState
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.parser import text_string_to_metric_families

from visavis_client import errors
from visavis_client.fakes import FakeEngine
from visavis_proxy.build_info import UNKNOWN, BuildInfo
from visavis_proxy.fetch import FetchError, FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge, Hold, unheld
from visavis_proxy.gate import BodiesFull, Gate, Level
from visavis_proxy.measured import MeasuredEngine, MeasuredFetcher, MeasuredState, engine_outcome
from visavis_proxy.metrics import Metrics
from visavis_proxy.restarts import write_restarts
from visavis_proxy.results import Result
from visavis_proxy.state import StateUnavailable

WORKER = """
import os, sys
from visavis_proxy.build_info import BuildInfo
from visavis_proxy.gate import Gate, Level
from visavis_proxy.metrics import Metrics
from visavis_proxy.results import Result
metrics, gate = Metrics(), Gate(max_pictures=8, max_body_bytes=100, body_timeout_s=30)
metrics.watch(gate)
gate.count(Level.PICTURES, 3)
metrics.request_answered("facepp", 200, "success", "none", Result.ANSWERED, 0.01)
print(os.getpid(), metrics.render(BuildInfo("1.0"), engine_ready=True).decode())
"""
ONE = 'visavis_requests_total{contract="facepp",limit="none",outcome="success",status="200"}'
BUILD = BuildInfo("1.0", "opencv", "opencv-0123", "fp32")


def told(text: str) -> dict[str, float]:
    """Every sample of Prometheus' text by its name and labels."""
    return {
        sample.name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items())) + "}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def numbers(metrics: Metrics, *, engine_ready: bool = True) -> dict[str, float]:
    return told(metrics.render(BUILD, engine_ready=engine_ready).decode())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_one_worker_tells_its_own_numbers(metrics: Metrics) -> None:
    """Without a folder to share a worker tells what it counted itself."""
    metrics.request_answered("facepp", 200, "success", "none", Result.ANSWERED, 0.01)
    assert numbers(metrics)[ONE] == 1
    assert ONE not in numbers(Metrics())


def test_a_refusal_does_not_make_the_answers_look_faster(metrics: Metrics) -> None:
    """Each result has durations of its own."""
    metrics.request_answered("facepp", 200, "success", "none", Result.ANSWERED, 3.0)
    for _ in range(1000):
        metrics.request_answered("facepp", 403, "BUSY", "in_flight", Result.REFUSED, 0.001)
    found = numbers(metrics)
    assert found['visavis_request_duration_seconds_sum{contract="facepp",result="answered"}'] == 3.0
    assert found['visavis_request_duration_seconds_bucket{contract="facepp",le="2.0",result="answered"}'] == 0
    assert found['visavis_request_duration_seconds_count{contract="facepp",result="refused"}'] == 1000


class TestWorkersThatShareAFolder:
    """With PROMETHEUS_MULTIPROC_DIR whichever worker is asked tells what all of them counted."""

    @pytest.fixture
    def workers(self, tmp_path: Path) -> list[tuple[int, dict[str, float]]]:
        write_restarts(tmp_path, {"triton": 0, "worker": 2})
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        found = []
        for _ in range(2):
            run = subprocess.run(
                [sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True, check=True
            )
            pid, _, text = run.stdout.partition(" ")
            found.append((int(pid), told(text)))
        return found

    def test_counts_and_levels_are_summed(self, workers: list[tuple[int, dict[str, float]]]) -> None:
        for number, (_, found) in enumerate(workers, 1):
            assert found[ONE] == number
            assert found["visavis_pictures_in_flight{}"] == 3 * number
            assert found["visavis_pictures_in_flight_limit{}"] == 8 * number
            assert found["visavis_workers{}"] == number
            assert not [name for name in found if "pid=" in name]

    def test_what_a_dead_worker_had_under_way_is_not(
        self, workers: list[tuple[int, dict[str, float]]], tmp_path: Path
    ) -> None:
        """What it counted stays."""
        for pid, _ in workers:
            mark_process_dead(pid, str(tmp_path))
        run = subprocess.run(
            [sys.executable, "-c", WORKER],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        found = told(run.stdout.partition(" ")[2])
        assert found[ONE] == 3
        assert found["visavis_pictures_in_flight{}"] == 3
        assert found["visavis_workers{}"] == 1

    def test_a_folder_that_is_gone_leaves_a_worker_its_own(self, tmp_path: Path) -> None:
        """Systems tidy up in memory; a scrape still has an answer."""
        folder = tmp_path / "numbers"
        folder.mkdir()
        program = WORKER.replace("print(", f"import shutil; shutil.rmtree({str(folder)!r}); print(")
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        found = told(run.stdout.partition(" ")[2])
        assert found[ONE] == 1
        assert found["visavis_pictures_in_flight{}"] == 3

    def test_the_launchers_restarts_are_among_them(self, workers: list[tuple[int, dict[str, float]]]) -> None:
        _, found = workers[0]
        assert found['visavis_restarts_total{process="worker"}'] == 2
        assert found['visavis_restarts_total{process="triton"}'] == 0


def test_a_gate_that_is_watched_shows_what_is_under_way(metrics: Metrics) -> None:
    gate = Gate(max_pictures=8, max_body_bytes=100, body_timeout_s=30)
    gate.count(Level.PICTURES, 1)
    metrics.watch(gate)
    gate.count(Level.PICTURES, 1)
    gate.count(Level.BODY_BYTES, 70)
    gate.count(Level.READING, 1)
    gate.count(Level.FETCHING, 2)
    gate.count(Level.FETCHING, -1)
    found = numbers(metrics)
    assert found["visavis_pictures_in_flight{}"] == 2
    assert found["visavis_held_body_bytes{}"] == 70
    assert found["visavis_held_body_limit_bytes{}"] == 100
    assert found['visavis_requests_waiting{stage="body"}'] == 1
    assert found['visavis_requests_waiting{stage="fetch"}'] == 1


@pytest.mark.parametrize("is_ready", [True, False])
def test_readiness_and_the_models_are_among_the_numbers(metrics: Metrics, is_ready: bool) -> None:
    found = numbers(metrics, engine_ready=is_ready)
    assert found["visavis_engine_ready{}"] == is_ready
    assert found['visavis_build_info{identity="opencv-0123",pack="opencv",precision="fp32",version="1.0"}'] == 1


def test_the_models_are_read_from_their_record(tmp_path: Path) -> None:
    """What it does not tell is unknown, and so is all of it where there is none."""
    assert BuildInfo.read(tmp_path).pack == UNKNOWN
    (tmp_path / "models.json").write_text(json.dumps({"pack": "p", "identity": "p-1", "detector": {}}))
    found = BuildInfo.read(tmp_path)
    assert (found.pack, found.identity, found.precision) == ("p", "p-1", UNKNOWN)
    (tmp_path / "models.json").write_text("[]")
    assert BuildInfo.read(tmp_path).identity == UNKNOWN


def leaves(root: type[Exception]) -> list[type[Exception]]:
    below = [kind for kind in root.__subclasses__() if kind.__module__ == errors.__name__]
    return [leaf for kind in below for leaf in leaves(kind)] or [root]


def test_every_error_of_the_engine_has_an_outcome_of_its_own(metrics: Metrics) -> None:
    """In snake case; what nobody expected has one name, whatever its class is."""
    kinds = leaves(errors.VisavisError)
    engine = FakeEngine({kind.__name__.encode(): kind("text") for kind in kinds})  # type: ignore[misc]
    for kind in kinds:
        with pytest.raises(kind):
            asyncio.run(MeasuredEngine(engine, metrics).analyse(kind.__name__.encode()))
    found = numbers(metrics)
    outcomes = {
        *("picture_unreadable", "picture_too_large", "region_invalid", "templates_not_comparable"),
        *("engine_unavailable", "engine_busy", "engine_timeout", "engine_fault"),
    }
    count = 'visavis_engine_duration_seconds_count{{outcome="{}"}}'
    assert {outcome: found.get(count.format(outcome)) for outcome in outcomes} == dict.fromkeys(outcomes, 1)
    assert len(kinds) == len(outcomes)
    assert engine_outcome(ZeroDivisionError()) == "unexpected"


def no_room(size: int) -> None:
    raise BodiesFull(f"not for {size} bytes")


def test_every_end_of_a_fetch_is_counted(metrics: Metrics) -> None:
    ends: dict[str, bytes | FetchError] = {
        "fetched": b"picture",
        "refused": FetchRefused("x"),
        "failed": FetchFailed("x"),
        "too_large": FetchTooLarge("x"),
        "timeout": FetchTimeout("x"),
    }
    fetcher = MeasuredFetcher(FakeFetcher(ends), metrics)
    for name, end in ends.items():
        if isinstance(end, bytes):
            assert asyncio.run(fetcher.fetch(name, max_bytes=10)) == end
        else:
            with pytest.raises(type(end)):
                asyncio.run(fetcher.fetch(name, max_bytes=10))
    with pytest.raises(BodiesFull):
        asyncio.run(fetcher.fetch("fetched", max_bytes=10, hold=no_room))
    found = numbers(metrics)
    assert [found[f'visavis_fetch_duration_seconds_count{{result="{name}"}}'] for name in (*ends, "no_room")] == [1] * 6


def test_every_call_of_the_state_is_counted_and_passes(metrics: Metrics) -> None:
    """A store that cannot be reached is told from one that answers."""

    class Gone(FakeState):
        async def take(self, bucket: str, per_second: float) -> bool:
            raise StateUnavailable("gone")

    async def run() -> None:
        state = MeasuredState(FakeState(), metrics, backend="redis")
        assert await state.claim_nonce("space", "nonce", 10)
        assert not await state.claim_nonce("space", "nonce", 10)
        assert await state.take("bucket", 5)
        assert await state.spend("counter", 2, day="1") == 1
        assert await state.remaining("counter", 2, day="1") == 1
        await state.keep({"key": b"value"}, 10)
        assert await state.recall(["key"]) == [b"value"]
        assert await state.purge(expired_only=False) == 1
        with pytest.raises(StateUnavailable):
            await MeasuredState(Gone(), metrics, backend="redis").take("bucket", 5)

    asyncio.run(run())
    found = numbers(metrics)
    operations = {"claim_nonce": 2, "take": 1, "spend": 1, "remaining": 1, "keep": 1, "recall": 1, "purge": 1}
    name = 'visavis_state_duration_seconds_count{{backend="redis",operation="{}",result="{}"}}'
    assert {operation: found[name.format(operation, "ok")] for operation in operations} == operations
    assert found[name.format("take", "unavailable")] == 1


def test_a_caller_who_leaves_is_counted_too(metrics: Metrics) -> None:
    class Never(FakeFetcher):
        async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await MeasuredFetcher(Never(), metrics).fetch("x", max_bytes=1)

    asyncio.run(run())
    assert numbers(metrics)['visavis_fetch_duration_seconds_count{result="cancelled"}'] == 1
