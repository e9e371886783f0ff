"""A bench keeps to its twenty minutes: what it does before it measures counts, and so do the bursts of each repeat."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest

from visavis_perf import http_steps
from visavis_perf.bench import choose
from visavis_perf.contracts import OK
from visavis_perf.limit import Limits
from visavis_perf.load import Load
from visavis_perf.pictures import PICTURE_SETS
from visavis_perf.plan import TARGET_SETS, Plan
from visavis_perf.run import Run
from visavis_perf.samples import Summary
from visavis_perf.schedule import BUDGET_S, Costs, Expected, Pace, budget_s, command_began, making

#: Graphs of a fresh clone, and imports.
_BEFORE_S = 25.0


class _Clock:
    """A hand that is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_fresh_clone_ends_within_twenty_minutes() -> None:
    """With graphs and pictures to make, and something left for repeats; the page is within the budget."""
    choice = choose((), extended=False, gpu=False)
    planned = [making(TARGET_SETS, choice.sets), *choice.expected(Plan.full())]
    total = sum(step.seconds for step in planned)
    assert _BEFORE_S + total < BUDGET_S - 10
    assert planned[-1].name == "page"
    assert BUDGET_S <= 19 * 60 + 45


def test_the_budget_does_not_grow_with_a_plan_that_fits() -> None:
    """A plan of 18 minutes once got 20:55, and took them; only one that is longer by itself may take longer."""
    assert budget_s(18.2 * 60) == BUDGET_S
    assert budget_s(40 * 60) == pytest.approx(46 * 60)


def test_the_clock_begins_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """With this process, or with `make`, which makes the graphs before it."""
    monkeypatch.delenv("BENCH_BEGAN", raising=False)
    assert command_began() <= time.monotonic()
    monkeypatch.setenv("BENCH_BEGAN", str(int(time.time()) - 90))
    assert time.monotonic() - command_began() == pytest.approx(90, abs=2)
    clock = _Clock()
    assert Pace([Expected("one", 10)], 100, clock, began=-40.0).elapsed_s == 40


def test_make_tells_the_bench_when_it_began() -> None:
    """Its name there is the one that is read."""
    makefile = (Path(__file__).parents[3] / "Makefile").read_text("utf-8")
    assert "export BENCH_BEGAN=$$(date +%s); $(BIN)/visavis export" in makefile


def test_pictures_that_lie_there_cost_nothing_to_speak_of() -> None:
    """Those to be made are told in the plan."""
    assert set(TARGET_SETS) <= set(PICTURE_SETS)
    assert making((), TARGET_SETS).seconds <= 2 < 20 < making(TARGET_SETS, TARGET_SETS).seconds


def test_what_is_still_to_come_in_a_step_is_not_given_away() -> None:
    """A step that has used up its plan still has to repeat its best load."""
    clock = _Clock()
    pace = Pace([Expected("one", 10), Expected("two", 20)], 100, clock)
    pace.begin("one")
    clock.at = 40
    assert pace.allows(30)
    assert not pace.allows(30, then_s=30)
    assert not pace.late
    clock.at = 81
    assert pace.late


class _SteadyLimits:
    """A limit that never swings, each of whose bursts takes its time."""

    def __init__(self, clock: _Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def burst(self, name: str) -> float:
        del name
        self._clock.at += self._seconds
        return 100.0


class _Contract:
    pictures_per_request = 2


@pytest.mark.parametrize(
    ("stolen", "budget_s_", "offered", "told"),
    [([0.01], 90.0, 1, 0.01), ([0.4, 0.02], 90.0, 2, 0.02), ([0.4, 0.3], 90.0, 2, 0.3), ([0.4], 40.0, 1, 0.4)],
)
def test_a_rate_that_lost_the_cores_to_others_is_offered_once_more(
    monkeypatch: pytest.MonkeyPatch, stolen: list[float], budget_s_: float, offered: int, told: float
) -> None:
    """Where there is time; what was lost when it counts is told."""
    made: list[float] = []

    def offer(load: Load, rate: float, seconds: float) -> Summary:
        del load, seconds
        made.append(rate)
        return Summary(rate, float(len(made)), 20.0, 50.0, 100.0, None, 0.1, 10, {OK: 10}, 10)

    given = iter(stolen)
    monkeypatch.setattr(http_steps, "offer", offer)
    monkeypatch.setattr(http_steps.StealMeter, "share", lambda _: next(given))
    pace = Pace([Expected("facepp-250", 40.0)], budget_s_, _Clock())
    pace.begin("facepp-250")
    bench = Run(Plan.full(), None, {}, cast("Limits", None), pace, {})
    search = http_steps._Search(bench, Load("http://x", cast("Any", _Contract()), [], rate=1.0, seconds=1.0))
    assert search.offer(20.0).goodput == offered
    assert (made, search.stolen) == ([20.0] * offered, told)


@pytest.mark.parametrize("budget_s_", [200.0, 60.0, 42.0])
def test_a_search_for_more_load_ends_while_its_repeats_still_fit(
    monkeypatch: pytest.MonkeyPatch, budget_s_: float
) -> None:
    """Every rate that a service serves without filling invites the next; each costs its run and two bursts."""
    clock, plan = _Clock(), Plan.full()
    costs = Costs(plan)

    def offer(load: Load, rate: float, seconds: float) -> Summary:
        del load
        clock.at += seconds + 1
        return Summary(rate, rate, 20.0, 50.0, 100.0, None, 0.1, 10, {OK: 10}, 10)

    monkeypatch.setattr(http_steps, "offer", offer)
    pace = Pace([Expected("facepp-250", 40.0), Expected("page", 8.0)], budget_s_ + 8.0, clock)
    pace.begin("facepp-250")
    limits = cast("Limits", _SteadyLimits(clock, costs.burst))
    bench = Run(plan, None, {}, limits, pace, {})
    load = Load("http://x", cast("Any", _Contract()), [], rate=1.0, seconds=1.0)
    then_s = costs.bracketed(costs.http_repeat)
    share = http_steps._filling(bench, load, "250", 0.5, then_s=then_s)
    assert share > 0.5 or budget_s_ < 60
    # One look is planned; whatever was added leaves room for the repeats and the page.
    assert clock.at + then_s <= max(budget_s_, costs.bracketed(5.0, 1) + then_s)
