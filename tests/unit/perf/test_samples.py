"""Figures of a load: by when answers came, from when requests were due."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from visavis_perf.contracts import BUSY, NO_FACE, OK
from visavis_perf.samples import Latencies, Sample, needed, percentile_ms, pooled, recovery_s, summarise


def _steady(rate: float, seconds: float, latency_s: float, kind: str = OK) -> list[Sample]:
    return [Sample(turn / rate, 0.0, latency_s, kind) for turn in range(int(rate * seconds))]


def test_goodput_of_a_service_that_keeps_up_is_the_rate() -> None:
    """Ten a second, answered at once, are ten good answers a second."""
    summary = summarise(_steady(10, 20, 0.01), rate=10, seconds=20, settle_s=4)
    assert summary.goodput == pytest.approx(10, rel=0.02)
    assert summary.p50_ms == pytest.approx(10)
    assert summary.wrong == 0


def test_answers_after_the_end_are_no_goodput_but_their_latency_counts() -> None:
    """A service that answers everything late has a goodput of nothing and the latency that it has."""
    summary = summarise(_steady(10, 5, 30.0), rate=10, seconds=5)
    assert summary.goodput == 0
    assert summary.p99_ms == pytest.approx(30_000)


def test_a_stall_shows_in_the_99th_percentile() -> None:
    """Requests due during a stall of a second have waited, although each was answered quickly once it left."""
    samples = [
        Sample(at, max(0.0, 3.0 - at) if at >= 2 else 0.0, max(0.0, 3.0 - at) + 0.01 if at >= 2 else 0.01, OK)
        for at in (turn / 100 for turn in range(1000))
    ]
    summary = summarise(samples, rate=100, seconds=10)
    assert summary.p50_ms == pytest.approx(10)
    assert summary.p99_ms is not None
    assert summary.p99_ms > 800


def test_refusals_are_no_errors_and_everything_else_is() -> None:
    """Busy words are counted apart; no face, a timeout and a 500 are wrong."""
    kinds = [OK] * 5 + [BUSY] * 3 + [NO_FACE, "timeout", "500 INTERNAL_ERROR"]
    samples = [Sample(at / 10, 0.0, 0.02 if kind == BUSY else 0.1, kind) for at, kind in enumerate(kinds)]
    summary = summarise(samples, rate=10, seconds=2)
    assert (summary.busy, summary.wrong, summary.kinds[OK]) == (3, 3, 5)
    assert summary.busy_p99_ms == pytest.approx(20)
    assert summary.p99_ms == pytest.approx(100)


def test_nothing_measured_is_none_and_not_zero() -> None:
    """A percentile of nothing would otherwise look like the best of all."""
    assert percentile_ms([], 99) is None
    assert summarise(_steady(5, 2, 0.1, "timeout"), rate=5, seconds=2).p99_ms is None


def test_a_percentile_wants_answers_enough_to_know_it() -> None:
    """Of 299, one lies beyond the true 99th 19 times of 20; of fewer, too often none does."""
    assert (needed(99), needed(95)) == (299, 59)
    assert 1 - 0.99 ** needed(99) >= 0.95 > 1 - 0.99 ** (needed(99) - 1)
    assert Latencies.of([0.1] * 298) == Latencies(298, 100.0, 100.0, None)
    assert Latencies.of([0.1] * 299).p99_ms == 100.0
    assert Latencies.of([0.1] * 58) == Latencies(58, 100.0, None, None)
    told = summarise(_steady(10, 20, 0.01), rate=10, seconds=20).as_dict()
    assert (told["answers"], told["p95_ms"], told["p99_ms"]) == (200, pytest.approx(10), None)
    assert "good_s" not in told


def test_runs_with_the_same_load_are_taken_together() -> None:
    """Two of 150 tell what neither does alone; what came before a service was full is left out of it."""
    runs = [summarise(_steady(20, 10, 0.01), rate=20, seconds=10, settle_s=2.5) for _ in range(2)]
    assert Latencies.of(pooled(runs)).p99_ms == pytest.approx(10)
    assert runs[0].p99_ms is not None
    assert runs[0].as_dict()["p99_ms"] is None
    assert runs[0].mean_ms == pytest.approx(10)


def test_recovery_ends_with_the_last_fault() -> None:
    """One refusal at three seconds means that it took three seconds; a service still refusing never recovered."""
    calm = _steady(10, 10, 0.05)
    assert recovery_s(calm, ordinary_ms=100) == 0
    once = [*calm, Sample(3.0, 0.0, 0.01, BUSY)]
    assert recovery_s(once, ordinary_ms=100) == 3.0
    slow = [*calm[:20], *(replace(sample, latency_s=0.4) for sample in calm[20:40]), *calm[40:]]
    assert 3.9 <= recovery_s(slow, ordinary_ms=100) <= 4.2
    assert math.isinf(recovery_s([*calm[:40], *(replace(one, latency_s=0.4) for one in calm[40:])], ordinary_ms=100))
    outlier = [*calm[:-1], replace(calm[-1], latency_s=0.4)]
    assert recovery_s(outlier, ordinary_ms=100) == 0, "one slow answer is the machine's"
    assert math.isinf(recovery_s(_steady(10, 10, 0.05, BUSY), ordinary_ms=100))
