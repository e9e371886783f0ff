"""A soak finds what leaks, and passes only where the load was answered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from visavis_perf.contracts import BUSY, OK
from visavis_perf.samples import Sample, Summary, summarise
from visavis_perf.soak import FLAT_BYTES, Growth, faults, growth, line

_SECONDS, _RATE = 1200.0, 16.0
_TIMES = [5.0 * look for look in range(1, 240)]
#: MiB of so many bytes a comparison, after a second.
_OF_A_BYTE = _RATE / 2**20


def judged(memory: list[tuple[float, float]]) -> Growth:
    """Of one process."""
    (one,) = growth({"stub 7": memory}, _SECONDS, _RATE)
    return one


def summary(good: int, busy: int = 0, wrong: int = 0) -> Summary:
    """Of a load with so many answers."""
    kinds = [OK] * good + [BUSY] * busy + ["status 500"] * wrong
    return summarise([Sample(0.1 * at, 0.0, 0.05, kind) for at, kind in enumerate(kinds)], rate=10, seconds=100)


def test_caches_that_fill_in_the_first_half_are_no_leak() -> None:
    """Afterwards it stays, with pages that come and go."""
    one = judged([(at, 100 + min(at, 500.0) + 0.01 * (at % 15)) for at in _TIMES])
    assert one.fault is None
    assert one.bytes_at_most < 20


@pytest.mark.parametrize("leaked", [140, 460, 5000])
def test_a_leak_of_a_small_object_for_each_picture_is_found(leaked: int) -> None:
    """The growth that is told is what leaks."""
    one = judged([(at, 100 + leaked * _OF_A_BYTE * at + 0.02 * (at % 10)) for at in _TIMES])
    assert one.bytes == pytest.approx(leaked, rel=0.1)
    assert "grows by" in (one.fault or "")


def test_a_slower_growth_is_told_and_passes() -> None:
    """What is excluded is a number of the run's own."""
    one = judged([(at, 100 + 40 * _OF_A_BYTE * at) for at in _TIMES])
    assert one.fault is None
    assert one.bytes_at_most == pytest.approx(40, rel=0.05)


@pytest.mark.parametrize(("steps", "passes"), [(0, True), (1, True), (2, False), (4, False), (9, False)])
def test_one_large_step_is_forgiven_and_two_are_not(steps: int, passes: bool) -> None:
    """A batch of a new length takes memory once; a library's leak takes huge pages again and again."""
    times = [600 + 600 * (step + 1) / (steps + 1) for step in range(steps)]
    one = judged([(at, 100 + 30.0 * sum(at > time for time in times)) for at in _TIMES])
    assert (one.fault is None) is passes


@pytest.mark.parametrize(("first", "last"), [(0, 900), (0, 300), (900, 1200)])
def test_a_process_that_was_not_there_all_the_time_hides_its_growth(first: int, last: int) -> None:
    """It ended, or was started anew."""
    one = judged([(at, 100.0) for at in _TIMES if first <= at < last])
    assert "not there all the time" in (one.fault or "")


def test_a_service_that_refuses_everything_fails() -> None:
    """It leaks nothing, and does nothing."""
    flat = [judged([(at, 100.0) for at in _TIMES])]
    assert faults(summary(good=960, busy=40), flat) == []
    (fault,) = faults(summary(good=949, busy=51), flat)
    assert "949 of 1000" in fault
    assert len(faults(summary(good=0, busy=100), flat)) == 1


def test_a_wrong_answer_a_leak_and_nobody_to_watch_are_faults() -> None:
    """Each by itself."""
    flat = judged([(at, 100.0) for at in _TIMES])
    assert len(faults(summary(good=999, wrong=1), [flat])) == 1
    assert len(faults(summary(good=100), [flat, replace(flat, bytes=FLAT_BYTES + 1)])) == 1
    assert len(faults(summary(good=100), [])) == 1


def test_the_page_tells_the_newest_soak_in_one_line(tmp_path: Path) -> None:
    """With its revision, and what it excludes."""
    assert line(tmp_path) == ""
    record = {
        **{"revision": "abc1234", "minutes": 20.0, "faults": []},
        "summary": {"rate": 9.04, "good": 10700, "requests": 10800},
        "processes": [{"bytes_at_most": 31.7}, {"bytes_at_most": -2.0}],
    }
    (tmp_path / "2026-11-02-2core-x.json").write_text(json.dumps({**record, "faults": ["it leaked"]}))
    assert "failed: it leaked." in line(tmp_path)
    (tmp_path / "2026-11-12-2core-x.json").write_text(json.dumps(record))
    told = line(tmp_path)
    assert "\n" not in told
    for word in ("abc1234", "2026-11-12", "20 minutes", "9.0 comparisons", "10700 of 10800", "32 bytes"):
        assert word in told
