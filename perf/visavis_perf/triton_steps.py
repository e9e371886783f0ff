"""Scenarios through perf_analyzer: single models and the ensemble, without HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from visavis_perf.inputs import input_file
from visavis_perf.perf_analyzer import PerfAnalyzerFailed, Point, run_point
from visavis_perf.plan import Run
from visavis_perf.scenario_files import Scenario
from visavis_perf.service import Service
from visavis_perf.triton_statistics import ENSEMBLE, breakdown, read_counters


def scenario_step(bench: Run, service: Service, scenario: Scenario) -> dict[str, Any]:
    """Every point of a sweep, with the stages' share of each; the ensemble's best load is run again.

    A point that gives no figures is told in ``faults`` and does not end the bench.
    """
    assert service.triton_grpc is not None and service.triton_http is not None  # noqa: S101, PT018
    path = input_file(scenario.model, scenario.pictures, bench.source)
    limit = bench.limits[scenario.pictures if scenario.pictures in bench.limits else "250"].images_per_s
    points: list[Point] = []
    stages: dict[str, Any] = {}
    faults: list[str] = []

    def measure(value: str) -> Point | None:
        before = read_counters(service.triton_http or "")
        try:
            point = run_point(scenario, value, service.triton_grpc or "", path, bench.plan.effort)
        except PerfAnalyzerFailed as error:
            faults.append(str(error))
            return None
        stages[value] = breakdown(before, read_counters(service.triton_http or ""))
        return point

    for value in scenario.values(limit):
        points += filter(None, [measure(value)])
    table = {
        "purpose": scenario.purpose,
        "model": scenario.model,
        "pictures": scenario.pictures,
        "sweep": scenario.sweep_flag,
        "points": [point.as_dict() for point in points],
        "stages": stages,
        "faults": faults,
    }
    if points:
        best = max(points, key=lambda point: point.images_per_s)
        again = [best]
        if scenario.model == ENSEMBLE and scenario.pictures in bench.limits:
            again += filter(None, (measure(best.value) for _ in range(bench.plan.repeats - 1)))
        table["best"] = best_load(again, limit)
    return table


def best_load(runs: Iterable[Point], limit_images_per_s: float) -> dict[str, Any]:
    """Median of the runs at the best load, as a share of the limit, and how far the runs lie apart."""
    runs = list(runs)
    rates = [point.images_per_s for point in runs]
    return {
        "value": runs[0].value,
        "images_per_s": median(rates),
        "p99_ms": median(point.p99_ms for point in runs),
        "runs": rates,
        "of_limit": round(median(rates) / limit_images_per_s, 4),
        "spread": round((max(rates) - min(rates)) / limit_images_per_s, 4),
    }
