"""An idle service: one request at a time, in turns with the same work done bare in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from visavis_perf.bare import Ways
from visavis_perf.bare_service import PARTS, BareService
from visavis_perf.brackets import Bracketed, bracketed
from visavis_perf.child import Child
from visavis_perf.contracts import OK, Contract
from visavis_perf.http_steps import contracts, load_of
from visavis_perf.load import run_idle
from visavis_perf.milliseconds import divided_request_ms, typical_ms
from visavis_perf.places import REPOSITORY
from visavis_perf.proxy_metrics import read_times
from visavis_perf.run import Run
from visavis_perf.samples import Latencies, Sample, percentile_ms
from visavis_perf.served import configuration
from visavis_perf.service import Service, ServiceFailed
from visavis_perf.triton_trace import TraceMissing, passed_ms, tracing

_WARM_UP_TURNS = 2
#: About what a turn of each takes.
_TURNS_S = 1.0
_BARE_TIMEOUT_S = 120.0
Item = TypeVar("Item")


def idle_step(bench: Run, service: Service) -> dict[str, Any]:
    """One picture (AWS) and a comparison (Face++), each against the bare work with the same threads."""
    ways = bench.limits.alone("250")
    threads = _graph_threads(configuration(service, "face_embedder"))
    served_by = {model: _library(configuration(service, model)) for model in ("face_detector", "face_embedder")}
    known = contracts(service)
    rows = {name: _in_turns(bench, service, known[name], ways, threads) for name in ("aws", "facepp")}
    traced = {
        "traced": _traced(bench, service, known["aws"]),
        "traced_facepp": _traced(bench, service, known["facepp"]),
    }
    return {"runtime": str(ways), "threads": threads, "served_by": served_by, "contracts": rows, **traced}


def _traced(bench: Run, service: Service, contract: Contract) -> dict[str, Any]:
    """Where an idle service's picture spends its time, by Triton's traces and the proxy's stages.

    Apart from the turns that are judged, for being traced costs something, too. Without a trace it tells why: that is
    no reason to lose a bench.
    """
    try:
        return _divided(bench, service, contract)
    except TraceMissing as error:
        return {"missing": str(error)}


def _divided(bench: Run, service: Service, contract: Contract) -> dict[str, Any]:
    assert service.triton_http is not None  # noqa: S101 (only the peer has none)
    load = load_of(bench, service, contract, "250")
    size = bench.plan.idle_turns * bench.plan.idle_requests
    run_idle(load, bench.plan.idle_requests)
    before = read_times(service.url)
    with tracing(service.triton_http) as traced:
        samples = run_idle(load, size)
    proxy = read_times(service.url).since(before)
    good = [1000 * sample.latency_s for sample in samples if sample.kind == OK]
    if not good or not traced.pictures:
        raise TraceMissing("no picture was traced from its request to its answer")
    passed = [passed_ms(marks) for marks in traced.pictures]
    inside = typical_ms(passed)
    rows = divided_request_ms(sum(good) / len(good), proxy, sum(inside.values()), inside)
    return {"pictures": len(passed), "milliseconds": rows}


def _in_turns(bench: Run, service: Service, contract: Contract, ways: Ways, threads: int) -> dict[str, Any]:
    """Bare, service, bare, service …: a turn of the service is compared with its two neighbours.

    Raises:
        ServiceFailed: a turn had no good answer.
    """
    jpegs, size = bench.pictures["250"], bench.plan.idle_requests
    load = load_of(bench, service, contract, "250")
    lanes = contract.pictures_per_request
    bare = Child(BareService, ways, REPOSITORY, threads, lanes)
    requests = [jpegs[index : index + lanes] for index in range(len(jpegs) - lanes)]
    bare_turns, service_turns = count(), count()

    def bare_turn() -> float:
        bare.send("times_s", turn_of(requests, next(bare_turns), size))
        return _p50_ms(bare.receive(_BARE_TIMEOUT_S))

    def service_turn(_: float) -> list[Sample]:
        return run_idle(replace(load, bodies=turn_of(load.bodies, next(service_turns), size)), size)

    def p50_ms(samples: Sequence[Sample]) -> float:
        return _p50_ms([sample.latency_s for sample in samples if sample.kind == OK])

    try:
        bare.receive(_BARE_TIMEOUT_S)
        for _ in range(_WARM_UP_TURNS):
            bare_turn()
            service_turn(0.0)
        bare.send("take_parts_s")
        bare.receive(_BARE_TIMEOUT_S)
        found = bracketed(
            bare_turn,
            service_turn,
            p50_ms,
            wanted=bench.plan.idle_turns,
            may_repeat=lambda: bench.pace.allows(_TURNS_S),
        )
        bare.send("take_parts_s")
        taken = bare.receive(_BARE_TIMEOUT_S)
    finally:
        bare.close()
    parts = [dict(zip(PARTS, (1000 * part for part in picture), strict=True)) for picture in taken]
    return _row(found) | {"bare_parts_ms": typical_ms(parts)}


def _row(found: Bracketed[list[Sample]]) -> dict[str, Any]:
    """What is kept of all turns of one contract."""
    samples = [sample for one in found.runs for sample in one.result]
    return {
        **found.as_dict(),
        **Latencies.of([sample.latency_s for sample in samples if sample.kind == OK]).as_dict(),
        # Of turns, as the bare work's is.
        "p50_ms": found.median_of(lambda one: one.rate),
        "bare_p50_ms": found.median_of(lambda one: one.yardstick),
        "wrong": sum(sample.kind != OK for sample in samples),
    }


def turn_of(items: Sequence[Item], turn: int, size: int) -> list[Item]:
    """The next so many, around and around, so that turns differ."""
    return [items[(turn * size + at) % len(items)] for at in range(size)]


def _p50_ms(times_s: Sequence[float]) -> float:
    middle = percentile_ms(times_s, 50)
    if middle is None:
        raise ServiceFailed("the idle service gave no good answer in a whole turn")
    return middle


def _graph_threads(configuration: Mapping[str, Any]) -> int:
    """Threads of one graph."""
    parameters = configuration.get("parameters", {})
    return int(parameters.get("intra_op_thread_count", {}).get("string_value", 1))


def _library(configuration: Mapping[str, Any]) -> str:
    """What runs a graph on a CPU: the launcher chooses by the processor."""
    accelerators = configuration.get("optimization", {}).get("execution_accelerators", {})
    names = [one["name"] for one in accelerators.get("cpu_execution_accelerator", [])]
    return names[0] if names else "onnxruntime"
