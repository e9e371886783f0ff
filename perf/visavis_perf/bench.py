"""One bench from beginning to end: the limit, the peer, the service, and what they have to do with one another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from visavis_perf import http_steps, limit, machine
from visavis_perf.peer_weights import PeerWeightsMissing, peer_weights
from visavis_perf.places import REPOSITORY, SCENARIOS
from visavis_perf.plan import TARGET_SETS, Run
from visavis_perf.ratios import STEADY, targets
from visavis_perf.results import now
from visavis_perf.scenario_files import Scenario, read_scenarios
from visavis_perf.service import Service, ServiceFailed, afternoon, serving
from visavis_perf.triton_steps import scenario_step

#: Steps that are no argument file.
HTTP_STEPS = ("facepp", "jdcloud", "aliyun", "aws")
OTHER_STEPS = ("peer", "idle", "overload", "start")
Say = Callable[[str], None]


def steps() -> list[str]:
    """Everything that a bench can be asked for by name."""
    return [*OTHER_STEPS, *HTTP_STEPS, *read_scenarios(SCENARIOS)]


def measure(bench: Run, wanted: Collection[str], say: Say, *, extended: bool = False) -> dict[str, Any]:
    """Run the wanted steps (none named: all that this machine can) and return the record.

    The limit is always measured, at the beginning and once more at the end: every result is a share of it, and a
    machine that slowed down meanwhile is seen. A record with a ``fault`` ended before its end.
    """
    record = bench.record
    record |= {
        "made": now(),
        "revision": machine.revision(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "quick": bench.plan.quick,
        "whole": not wanted and not bench.plan.quick,
    }
    chosen = set(wanted or steps())
    scenarios = _able(read_scenarios(SCENARIOS), chosen, extended=extended or bool(wanted), say=say)
    sets = [name for name in TARGET_SETS if name == "250" or _needs_set(name, chosen, scenarios)]
    for name in sets:
        say(f"limit with the {name} set")
        bench.limits[name] = _limit(bench, name)
        say(f"  {bench.limits[name].images_per_s:.1f} images/s by {bench.limits[name].runtime}")
    try:
        if "peer" in chosen:
            _measure_peer(bench, say)
        _measure_service(bench, chosen, scenarios, say)
        _measure_limit_again(bench, say)
    except (PeerWeightsMissing, ServiceFailed, OSError) as error:
        # What was measured until then is worth keeping; the caller writes it down and fails.
        record |= {"fault": str(error), "whole": False}
    record["limits"] = {name: found.as_dict() for name, found in bench.limits.items()}
    record["targets"] = [target.as_dict() for target in targets(record)]
    return record


def _able(every: Mapping[str, Scenario], chosen: Collection[str], *, extended: bool, say: Say) -> list[Scenario]:
    gpu = machine.has_gpu()
    skipped = [name for name, one in every.items() if name in chosen and one.needs_gpu and not gpu]
    if skipped:
        say(f"not here, for want of a GPU: {', '.join(skipped)}")
    return [
        one
        for name, one in every.items()
        if name in chosen and (gpu or not one.needs_gpu) and (extended or not one.extended)
    ]


def _needs_set(name: str, chosen: AbstractSet[str], scenarios: Collection[Scenario]) -> bool:
    return any(one.pictures == name for one in scenarios) or bool(chosen & {"facepp", "jdcloud", "aliyun"})


def _limit(bench: Run, name: str) -> limit.Limit:
    plan = bench.plan
    return limit.measure(REPOSITORY, bench.pictures(name), seconds=plan.limit_seconds, runs=plan.limit_runs)


def _measure_limit_again(bench: Run, say: Say) -> None:
    """How much the machine itself changed during the bench; an unsteady one gives no results to keep."""
    say("limit once more")
    again = limit.measure(REPOSITORY, bench.pictures("250"), seconds=bench.plan.limit_seconds, runs=1)
    drift = round(again.images_per_s / bench.limits["250"].images_per_s - 1, 4)
    bench.record["drift"] = drift
    if abs(drift) > STEADY:
        say(f"the limit moved by {100 * drift:+.0f} %: other work ran here, and these figures are no evidence")
        bench.record["whole"] = False


def _measure_peer(bench: Run, say: Say) -> None:
    detector, recognizer = peer_weights()
    say("peer, at the service's own detector size")
    with afternoon(detector, recognizer) as peer:
        bench.record["peer"] = http_steps.peer_step(bench, peer)
    if not bench.plan.quick:
        say("peer, small pictures not enlarged")
        with afternoon(detector, recognizer, enlarge=False) as peer:
            bench.record["peer_not_enlarged"] = http_steps.peer_step(bench, peer, http_steps.PEER_CURVE[2:])


def _measure_service(bench: Run, chosen: AbstractSet[str], scenarios: Collection[Scenario], say: Say) -> None:
    if "start" in chosen:
        with serving() as first:
            bench.record["start"] = {"first_s": round(first.start_to_ready_s, 2)}
    if not scenarios and not chosen & {*HTTP_STEPS, *OTHER_STEPS}:
        return
    with serving() as service:
        if "start" in chosen:
            bench.record["start"]["second_s"] = round(service.start_to_ready_s, 2)
        if "idle" in chosen:
            say("idle service")
            bench.record["idle"] = http_steps.idle_step(bench, service)
        table = bench.record.setdefault("scenarios", {})
        for scenario in scenarios:
            say(f"perf_analyzer: {scenario.name}")
            table[scenario.name] = scenario_step(bench, service, scenario)
            for fault in table[scenario.name]["faults"]:
                say(f"  {fault}")
        _measure_http(bench, service, chosen, say)


def _measure_http(bench: Run, service: Service, chosen: AbstractSet[str], say: Say) -> None:
    table = bench.record.setdefault("http", {})
    known = http_steps.contracts(service)
    for name in HTTP_STEPS:
        if name not in chosen:
            continue
        for pictures in TARGET_SETS if name != "aws" else ("250",):
            shares = http_steps.FULL_CURVE if (name, pictures) == ("facepp", "250") else http_steps.TOP_OF_CURVE
            say(f"HTTP: {name}, {pictures}")
            table[f"{name}-{pictures}"] = http_steps.curve_step(bench, service, known[name], pictures, shares)
    their_best = bench.record.get("peer", {}).get("best")
    if their_best:
        say("service at the peer's best load")
        bench.record["beside_peer"] = http_steps.beside_peer_step(bench, service, their_best["rate"])
    our_best = table.get("facepp-250", {}).get("best")
    if "overload" in chosen and our_best:
        say(f"overload for {bench.plan.overload_seconds:.0f} s")
        bench.record["overload"] = http_steps.overload_step(bench, service, our_best["goodput"])
