"""Scenarios through perf_analyzer: single models and the ensemble, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from visavis_perf.accounts import Reading, account
from visavis_perf.inputs import input_file
from visavis_perf.perf_analyzer import Effort, PerfAnalyzerFailed, Point, run_point
from visavis_perf.run import Run
from visavis_perf.scenario_files import Scenario
from visavis_perf.schedule import Costs
from visavis_perf.service import Service
from visavis_perf.triton_statistics import ENSEMBLE

Measure = Callable[[str, Effort], Point]


def scenario_step(bench: Run, service: Service, scenario: Scenario) -> dict[str, Any]:
    """Every point of a sweep, with the stages' share of each; a judged scenario's best load is repeated.

    A point that gives no figures is told in ``faults`` and does not end the bench.
    """
    address = service.triton_grpc if scenario.protocol == "grpc" else service.triton_http
    assert address is not None  # noqa: S101 (only the peer has none)
    path = input_file(scenario.model, scenario.pictures, bench.source)
    # Shares of the limit are rates of the set that it is known for, or of the small pictures.
    limit = bench.limits.burst(scenario.pictures if scenario.pictures in bench.limits.ways else "250")

    def measure(value: str, effort: Effort) -> Point:
        return run_point(scenario, value, address, path, effort)

    points, stages, faults = _sweep(service, scenario.values(limit), lambda value: measure(value, bench.plan.sweep))
    table: dict[str, Any] = {
        "purpose": scenario.purpose,
        "model": scenario.model,
        "pictures": scenario.pictures,
        "sweep": scenario.sweep_flag,
        "limit_per_s": round(limit, 2),
        "points": [point.as_dict() for point in points],
        "stages": stages,
        "faults": faults,
    }
    if scenario.judged:
        table["best"] = None
    if points and scenario.judged:
        try:
            table |= _at_best(bench, service, scenario, measure, max(points, key=lambda point: point.images_per_s))
        except PerfAnalyzerFailed as error:
            faults.append(str(error))
    return table


def _sweep(
    service: Service, values: Iterable[str], measure: Callable[[str], Point]
) -> tuple[list[Point], dict[str, Any], list[str]]:
    """The points that gave figures, the stages' share by value, and why others gave none."""
    points: list[Point] = []
    stages: dict[str, Any] = {}
    faults: list[str] = []
    for value in values:
        before = Reading.of(service)
        try:
            points.append(measure(value))
        except PerfAnalyzerFailed as error:
            faults.append(str(error))
            continue
        stages[value] = account(before, Reading.of(service)).get("stages", {})
    return points, stages, faults


def _at_best(bench: Run, service: Service, scenario: Scenario, measure: Measure, best: Point) -> dict[str, Any]:
    """The best load again and again between bursts of the limit, and where its time goes."""
    before = Reading.of(service)
    found = bench.beside_limit(
        scenario.pictures,
        lambda _: measure(best.value, bench.plan.effort),
        lambda point: point.images_per_s,
        run_s=Costs(bench.plan).perf_analyzer(bench.plan.effort.window_ms),
    )
    after = Reading.of(service)
    table = {
        **found.as_dict(),
        "value": best.value,
        "images_per_s": found.median_of(lambda one: one.rate),
        # Of the run with the fewest: percentiles are each run's own, and their median is told.
        "answers": min(one.result.answers for one in found.counted),
        "p95_ms": found.median_of(lambda one: one.result.percentile_ms(95)),
        "p99_ms": found.median_of(lambda one: one.result.percentile_ms(99)),
    }
    if scenario.model != ENSEMBLE:
        return {"best": table}
    told = account(before, after)
    return {"best": table, "best_stages": told["stages"], "core_ms": told["core_ms"]}
