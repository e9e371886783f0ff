"""Shares hold on a machine whose speed swings; where it moves too much, no verdict comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from visavis_perf.brackets import EXTRA_RUNS, Bracketed, Repeat, bracketed


def _machine(speeds: Iterator[float], share: float) -> tuple[Callable[[], float], Callable[[float], float]]:
    """A yardstick and a run on a machine with a new speed at every measurement."""
    return (lambda: 100 * next(speeds)), (lambda _: 100 * share * next(speeds))


def _measure(speeds: Iterator[float], share: float = 0.8, *, spare: bool = True) -> Bracketed[float]:
    yardstick, run = _machine(speeds, share)
    return bracketed(yardstick, run, lambda rate: rate, wanted=3, may_repeat=lambda: spare)


def test_a_slow_swing_cancels() -> None:
    """A sixth within one measurement: the rates differ by far more than the shares."""
    found = _measure(1 + 0.3 * math.sin(turn / 4) for turn in count())
    rates = [run.rate for run in found.runs]
    assert max(rates) / min(rates) > 1.15
    assert found.share == pytest.approx(0.8, rel=0.02)
    assert (len(found.runs), found.steady) == (3, True)


def test_a_run_whose_neighbours_disagree_is_made_again() -> None:
    """A neighbour's work during the second run: three more agree, and the disturbed one counts for nothing."""
    found = _measure(iter([1, 1, 1, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5]))
    assert [run.steady for run in found.runs] == [True, False, True, True]
    assert [run.share for run in found.counted] == pytest.approx([0.8, 0.8, 0.8])
    assert found.steady


def test_a_machine_that_never_rests_is_unsteady() -> None:
    """After a few more runs the figure stands, of all runs, without a claim."""
    found = _measure(1.0 + 0.5 * (turn % 4 < 2) for turn in count())
    assert len(found.runs) == 3 + EXTRA_RUNS
    assert not found.steady
    assert len(found.counted) == len(found.runs)
    assert found.as_dict()["steady"] is False


def test_runs_that_lie_apart_are_followed_by_more() -> None:
    """A disturbance shorter than a run shows in neither neighbour; the median of more runs is not moved by it."""
    found = _measure(iter([1, 0.7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
    assert 3 < len(found.runs) <= 3 + EXTRA_RUNS
    assert found.share == pytest.approx(0.8)


def test_without_time_nothing_is_made_again() -> None:
    """The planned runs are made in any case, and two of three are enough."""
    found = _measure(iter([1, 1, 1, 0.6, 0.5, 0.5, 0.5]), spare=False)
    assert len(found.runs) == 3
    assert found.steady
    assert len(found.counted) == 2


def test_a_run_is_told_the_yardstick_before_it() -> None:
    """Rates are offered as shares of the limit as it is now."""
    told: list[float] = []

    def run(before: float) -> float:
        told.append(before)
        return before

    values = iter([100.0, 101.0, 102.0, 103.0])
    bracketed(lambda: next(values), run, lambda rate: rate, wanted=3, may_repeat=lambda: False)
    assert told == [100.0, 101.0, 102.0]


def test_neighbours_may_lie_fifteen_percent_apart() -> None:
    """Of their mean, in either direction."""
    assert Repeat(None, 1.0, 100.0, 116.0).steady
    assert not Repeat(None, 1.0, 100.0, 117.0).steady
    assert not Repeat(None, 1.0, 117.0, 100.0).steady


def test_of_many_runs_the_middle_half_is_the_spread() -> None:
    """One odd turn among ten must not excuse a regression."""
    runs = tuple(Repeat(None, rate, 100.0, 100.0) for rate in (80, 80, 81, 79, 80, 80, 81, 79, 80, 40))
    assert Bracketed(runs, 10).spread < 0.02
    assert Bracketed(runs[-3:], 3).spread == pytest.approx(0.4)


def test_runs_that_stay_apart_get_no_verdict() -> None:
    """Steady neighbours do not help where the runs between them differ."""
    runs = tuple(Repeat(None, rate, 100.0, 100.0) for rate in (60, 75, 80))
    assert not Bracketed(runs, 3).steady
    assert Bracketed(runs[1:], 2).steady
