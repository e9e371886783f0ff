"""What the host gives to others is read where the kernel counts it, and spoils the runs that it falls on alone."""

from __future__ import annotations

from collections import namedtuple
from itertools import count

import psutil
import pytest

from visavis_perf.brackets import Bracketed, bracketed
from visavis_perf.steal import MUCH, StealMeter

_Times = namedtuple("_Times", "user system idle steal guest")


def _counts(monkeypatch: pytest.MonkeyPatch, *counts: tuple[object, ...]) -> None:
    given = iter(counts)
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(given))


def test_the_stolen_part_is_of_all_cores_since_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest's time is the user's, and counted once."""
    _counts(monkeypatch, _Times(5, 1, 4, 2, 3), _Times(11, 2, 5, 4, 9), _Times(13, 2, 5, 4, 9))
    meter = StealMeter()
    assert meter.share() == pytest.approx(2 / 10)
    assert meter.share() == 0


def test_nothing_is_told_of_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One count of a hundredth would be the whole of it; nor does it count later."""
    _counts(monkeypatch, _Times(0, 0, 0, 0, 0), _Times(0, 0, 0, 1, 0), _Times(4, 0, 0, 1, 0))
    meter = StealMeter()
    assert (meter.share(), meter.share()) == (0, 0)


def test_a_kernel_that_counts_none_steals_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another system."""
    bare = namedtuple("bare", "user system idle")
    _counts(monkeypatch, bare(0, 0, 0), bare(9, 9, 9))
    assert StealMeter().share() == 0


def test_the_machine_that_this_runs_on_can_be_read() -> None:
    """Whatever it has stolen so far."""
    assert 0 <= StealMeter().share() <= 1


def _measure(stolen: list[float]) -> Bracketed[float]:
    """Three runs; what is stolen during yardstick, run, yardstick …, and nothing after that."""
    rates = count(1)
    given = iter([*stolen, *[0.0] * 20])
    return bracketed(
        lambda: 1.0, lambda _: 0.8, lambda _: 0.8 + next(rates) / 1000, wanted=3,
        may_repeat=lambda: True, stolen=lambda: next(given),
    )  # fmt: skip


@pytest.mark.parametrize("stolen", [[0.0, 2 * MUCH], [2 * MUCH, 0.0, 2 * MUCH]])
def test_a_run_that_had_less_or_more_of_the_cores_than_its_neighbours_is_made_again(stolen: list[float]) -> None:
    """Though these two agree, as they do on a machine of which others always take a part."""
    found = _measure(stolen)
    steady = [run.steady for run in found.runs]
    assert steady[0] is False
    assert (sum(steady), found.steady) == (3, True)


def test_what_is_always_stolen_spoils_nothing() -> None:
    """A share is of the same cores then."""
    found = _measure([0.4] * 7)
    assert [run.steady for run in found.runs] == [True] * 3
