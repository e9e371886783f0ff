"""How long a bench takes: told before it begins, and kept to while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import psutil

from visavis_perf.bare import BATCHES
from visavis_perf.limit import TRIES, WARM_UP_S
from visavis_perf.plan import LONGER_BESIDE_PEER, Plan
from visavis_perf.proxy_metrics import SETTLED_S
from visavis_perf.scenario_files import Scenario

#: What a bench of the targets may take, from its command to its page: under 20 minutes are promised.
BUDGET_S = 19.6 * 60
#: What a longer one may, of its plan.
_BEYOND_PLAN = 1.15
#: Of what is still to come, so much is kept back from repeats: steps take a little more or less than planned.
_RESERVE = 0.02
#: Where `make bench` tells when it began, in Unix seconds: it makes the graphs first.
_BEGAN = "BENCH_BEGAN"
#: Measured on two cores, seconds: a set that is made, by its name, and one that is only read.
_MAKING_S = {"250": 4.0, "1mp": 30.0}
_READING_S = 0.5
#: Measured on two cores, seconds: processes of a bare loop come up; the service does, and ends; the peer does.
_LOOPS_START_S, _SERVICE_START_S, _PEER_START_S = 4.0, 9.0, 4.0
#: perf_analyzer reads its input and ends; an open-loop load's last answers come; a set of bodies is made.
_PERF_ANALYZER_S, TAIL_S, _PREPARE_S = 2.0, 1.0, 3.0
#: A request of one picture, and the same work bare; one of two.
_IDLE_REQUEST_S = {"aws": 0.035, "facepp": 0.05}
_BARE_START_S = 3.0
_PAGE_S = 6.0


@dataclass(frozen=True, slots=True)
class Expected:
    """A step, and the seconds that it should take."""

    name: str
    seconds: float


def making(missing: Collection[str], sets: Collection[str]) -> Expected:
    """The step that makes the ``missing`` sets of pictures, and reads the others."""
    return Expected("pictures", sum(_MAKING_S[name] if name in missing else _READING_S for name in sets))


def budget_s(planned_s: float) -> float:
    """What a bench with such a plan may take with all its repeats."""
    return BUDGET_S if planned_s <= BUDGET_S else _BEYOND_PLAN * planned_s


def command_began() -> float:
    """When the command was given, as monotonic time: this process began, or `make bench` before it."""
    began = float(os.environ.get(_BEGAN) or psutil.Process().create_time())
    return time.monotonic() - (time.time() - began)


@dataclass(frozen=True, slots=True)
class Costs:
    """What parts of a step take with a plan."""

    plan: Plan

    @property
    def burst(self) -> float:
        """One burst of the limit."""
        return self.plan.burst_seconds + WARM_UP_S

    def bracketed(self, run_s: float, wanted: int | None = None) -> float:
        """Runs of so long between bursts."""
        wanted = self.plan.repeats if wanted is None else wanted
        return wanted * run_s + (wanted + 1) * self.burst

    def perf_analyzer(self, window_ms: int) -> float:
        """One point: three windows."""
        return 3 * window_ms / 1000 + _PERF_ANALYZER_S

    @property
    def http_repeat(self) -> float:
        """One repeat at a best load."""
        return self.plan.http_seconds + TAIL_S

    def curve(self, points: int, finer: int, repeats: int | None = None) -> float:
        """Search and repeats of one contract."""
        search = (points + finer) * (self.plan.search_seconds + TAIL_S)
        filling = self.bracketed(self.plan.search_seconds + TAIL_S, 1)
        return _PREPARE_S + self.burst + search + filling + self.bracketed(self.http_repeat, repeats)

    def scenario(self, scenario: Scenario) -> float:
        """A sweep, and repeats where it is judged."""
        sweep = len(scenario.sweep_values) * self.perf_analyzer(self.plan.sweep.window_ms)
        repeats = self.bracketed(self.perf_analyzer(self.plan.effort.window_ms)) if scenario.judged else 0.0
        return sweep + self.burst + repeats


def expected(
    plan: Plan, *, runtimes: int, sets: int, http: Sequence[tuple[str, str]], other: Collection[str],
    scenarios: Collection[Scenario],
) -> list[Expected]:  # fmt: skip
    """Every step in its order; ``http`` are contracts with their sets, ``other`` steps that are no argument file."""
    costs = Costs(plan)
    tries = runtimes * len(BATCHES) * TRIES * (plan.try_seconds + WARM_UP_S)
    steps = [Expected("limit", runtimes * _LOOPS_START_S + tries + sets * costs.burst)]
    if "start" in other:
        steps.append(Expected("start", _SERVICE_START_S))
    steps.append(Expected("service", _SERVICE_START_S))
    if "idle" in other:
        turns = 2 * plan.idle_turns * plan.idle_requests
        # The proxy's times are read before and after each of the traced loads.
        traced = (1 + plan.idle_turns) * plan.idle_requests * sum(_IDLE_REQUEST_S.values())
        traced += 2 * len(_IDLE_REQUEST_S) * SETTLED_S
        steps.append(Expected("idle", traced + sum(_BARE_START_S + turns * each for each in _IDLE_REQUEST_S.values())))
    steps += [Expected(scenario.name, costs.scenario(scenario)) for scenario in scenarios]
    for contract, pictures in http:
        points = len(plan.curve_shares(contract, pictures))
        steps.append(Expected(f"{contract}-{pictures}", costs.curve(points, plan.finer)))
    if "peer" in other:
        points = len(plan.peer_shares)
        steps.append(Expected("peer", _PEER_START_S + costs.curve(points, plan.finer)))
        longer = 0.0 if plan.quick else (LONGER_BESIDE_PEER - 1) * plan.http_seconds
        steps += [
            Expected("beside_peer", costs.bracketed(2 * costs.http_repeat + longer)),
            Expected("twice_the_peer", costs.bracketed(2 * costs.http_repeat)),
        ]
        if not plan.quick:
            small = costs.curve(len(plan.small_peer_shares), 1, repeats=1)
            steps.append(Expected("peer_not_enlarged", _PEER_START_S + small))
    if "rival" in other:
        steps.append(Expected("rival", _PEER_START_S + costs.curve(len(plan.small_peer_shares), 1, repeats=1)))
    if "overload" in other:
        around = costs.http_repeat + plan.recovery_seconds + TAIL_S
        steps.append(Expected("overload", costs.bracketed(plan.overload_seconds + around, 1)))
    return [*steps, Expected("page", _PAGE_S)]


@dataclass(slots=True)
class Pace:
    """Where a bench stands against its plan."""

    steps: Sequence[Expected]
    budget_s: float = BUDGET_S
    clock: Callable[[], float] = time.monotonic
    #: By that clock; None is now.
    began: float | None = None
    _began: float = field(init=False)
    _step_began: float = field(init=False)
    _current: int = -1

    def __post_init__(self) -> None:
        self._step_began = self.clock()
        self._began = self._step_began if self.began is None else self.began

    @property
    def total_s(self) -> float:
        """As planned."""
        return sum(step.seconds for step in self.steps)

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return self.clock() - self._began

    @property
    def remaining_s(self) -> float:
        """As planned, less what the current step has taken so far."""
        return self._later_s + self._left_of_step_s

    @property
    def _later_s(self) -> float:
        return sum(step.seconds for step in self.steps[self._current + 1 :])

    @property
    def _left_of_step_s(self) -> float:
        if self._current < 0:
            return 0.0
        return max(0.0, self.steps[self._current].seconds - (self.clock() - self._step_began))

    def begin(self, name: str) -> None:
        """A step of the plan begins; those before it are over, skipped ones too."""
        self._current = [step.name for step in self.steps].index(name)
        self._step_began = self.clock()

    def allows(self, seconds: float, *, then_s: float = 0.0) -> bool:
        """Whether there is time for so much more than planned.

        ``then_s`` is still to come in this step, which may have used up its plan already.
        """
        left = self._later_s + max(self._left_of_step_s, then_s)
        return self.elapsed_s + (1 + _RESERVE) * left + seconds <= self.budget_s

    @property
    def late(self) -> bool:
        """Whether what is planned does not fit any more."""
        return self.elapsed_s + self.remaining_s > self.budget_s


def minutes(seconds: float) -> str:
    """As ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
