"""Pictures of a record: throughput against latency, and the stages of a request."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from visavis_perf.results import exchange
from visavis_perf.triton_statistics import STAGES

_PARTS = ("queue", "input", "infer", "output")


def draw(record: Mapping[str, Any], folder: Path, stem: str) -> list[str]:
    """Write ``<stem>-curves.png`` and ``<stem>-stages.png``; names of those that had something to show."""
    drawn = []
    for name, painter in (("curves", _curves), ("stages", _stages)):
        figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
        if painter(record, axes):
            png = io.BytesIO()
            figure.savefig(png, format="png", dpi=110)
            exchange(folder / f"{stem}-{name}.png", png.getvalue())
            drawn.append(f"{stem}-{name}.png")
        plt.close(figure)
    return drawn


def _curves(record: Mapping[str, Any], axes: Any) -> bool:
    http = {name: curve for name, curve in record.get("http", {}).items() if curve["curve"]}
    if record.get("peer", {}).get("curve"):
        http["peer"] = record["peer"]
    for name, curve in http.items():
        points = [point for point in curve["curve"] if point["p99_ms"] is not None]
        shares = [point["goodput"] / curve["limit_per_s"] for point in points]
        axes[0].plot(shares, [point["p99_ms"] for point in points], marker="o", markersize=3, label=name)
    _label(axes[0], "HTTP, open loop: p99", "good answers, share of the limit")
    shown = 0
    for name, scenario in record.get("scenarios", {}).items():
        known = scenario["pictures"] in record["limits"]
        if scenario["model"] == "face_analysis" and known and len(scenario["points"]) > 1:
            shares = [point["images_per_s"] / scenario["limit_per_s"] for point in scenario["points"]]
            p99 = [point["p99_ms"] for point in scenario["points"]]
            axes[1].plot(shares, p99, marker="o", markersize=3, label=name)
            shown += 1
    _label(axes[1], "ensemble through perf_analyzer: p99", "images/s, share of the limit")
    return bool(http) or shown > 0


def _label(axes: Axes, title: str, across: str) -> None:
    axes.set(title=title, xlabel=across, ylabel="ms", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _stages(record: Mapping[str, Any], axes: Any) -> bool:
    ensemble = record.get("scenarios", {}).get("ensemble", {})
    closed = {f"{point['value']} at once": ensemble["stages"][point["value"]] for point in ensemble.get("points", [])}
    http = {name: curve["stages"] for name, curve in record.get("http", {}).items() if curve.get("stages")}
    _bars(axes[0], closed, "ensemble: mean ms of a picture")
    _bars(axes[1], http, "best load over HTTP: mean ms of a picture")
    return bool(closed or http)


def _bars(axes: Axes, loads: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> None:
    """One bar for each load, cut into each stage's queue and work, and the rest between stages."""
    colours = plt.get_cmap("tab20")
    names = list(loads)
    floor = [0.0] * len(names)
    cuts = [(stage, part) for stage in STAGES for part in ("queue", "work")]
    for number, (stage, part) in enumerate([*cuts, ("face_analysis", "between")]):
        heights = [_height(loads[name].get(stage, {}), part) for name in names]
        axes.bar(names, heights, bottom=floor, color=colours(number), label=f"{stage} {part}")
        floor = [low + height for low, height in zip(floor, heights, strict=True)]
    axes.set(title=title, ylabel="ms")
    axes.tick_params(axis="x", labelrotation=30, labelsize=7)
    if names:
        axes.legend(fontsize=7)


def _height(stage: Mapping[str, float], part: str) -> float:
    if part != "work":
        return stage.get(part, 0.0)
    return sum(stage.get(each, 0.0) for each in _PARTS[1:])
