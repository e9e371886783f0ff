"""Pictures of a record: throughput against latency, and where a request's time goes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from visavis_perf.milliseconds import LATER, OUTSIDE, WAY, columns
from visavis_perf.results import exchange

#: What a bar is cut into: rows of milliseconds.py, and a colour.
_PARTS = {
    "outside the proxy": ((OUTSIDE,), "#c7c7c7"),
    "proxy": (("read", "parse", "verify", "state", "fetch", "answer", "send"), "#8c564b"),
    "proxy ↔ Triton": ((WAY,), "#9467bd"),
    "decode, queue": (("decode, queue",), "#aec7e8"),
    "decode": (("decode",), "#1f77b4"),
    "detect, queue": (("detect, queue",), "#ffbb78"),
    "detect": (("detect",), "#ff7f0e"),
    "align, queue": (("align, queue",), "#dbdb8d"),
    "align": (("align",), "#bcbd22"),
    "embed, queue": (("embed, queue",), "#98df8a"),
    "embed": (("embed",), "#2ca02c"),
    "between steps": (("between steps",), "#e377c2"),
    "the later of two pictures": ((LATER,), "#7f7f7f"),
}


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
        points = [(point["goodput"] / curve["limit_per_s"], point) for point in curve["curve"]]
        _line(axes[0], name, points)
        best = curve.get("best")
        if best and best.get("p99_ms"):
            colour = axes[0].lines[-1].get_color()
            axes[0].plot(best["share"], best["p99_ms"], marker="*", markersize=10, color=colour, linestyle="")
    _label(axes[0], "HTTP, open loop: p95, dotted p50; star: p99 at the best load", "good answers, share of the limit")
    shown = 0
    for name, scenario in record.get("scenarios", {}).items():
        known = scenario["pictures"] in record["limits"]
        if scenario["model"] == "face_analysis" and known and len(scenario["points"]) > 1:
            limit = scenario["limit_per_s"]
            _line(axes[1], name, [(point["images_per_s"] / limit, point) for point in scenario["points"]])
            shown += 1
    _label(axes[1], "ensemble through perf_analyzer: p95, dotted p50", "images/s, share of the limit")
    return bool(http) or shown > 0


def _line(axes: Axes, name: str, points: Sequence[tuple[float, Mapping[str, Any]]]) -> None:
    """The 95th percentile, where the answers suffice for it, over the median; no point of a curve has a 99th."""
    colour = f"C{len(axes.get_legend_handles_labels()[0])}"
    for percentile, style in (("p50_ms", "dotted"), ("p95_ms", "solid")):
        told = [(share, point[percentile]) for share, point in points if point.get(percentile) is not None]
        label = name if style == "solid" else None
        axes.plot(*_unzipped(told), marker="o", markersize=3, linestyle=style, color=colour, label=label)


def _unzipped(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [across for across, _ in points], [up for _, up in points]


def _label(axes: Axes, title: str, across: str) -> None:
    axes.set(xlabel=across, ylabel="ms", yscale="log")
    axes.set_title(title, fontsize=10)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _stages(record: Mapping[str, Any], axes: Any) -> bool:
    http, closed = columns(record)
    _bars(axes[0], closed, "ensemble: mean of a picture")
    _bars(axes[1], http, "best load over HTTP: mean of a request")
    shown = {label: bar for each in axes for bar, label in zip(*each.get_legend_handles_labels(), strict=True)}
    if shown:
        # Beside the bars, where it hides none of them.
        labels = [part for part in reversed(_PARTS) if part in shown]
        axes[1].figure.legend([shown[part] for part in labels], labels, loc="outside right center", fontsize=8)
    return bool(shown)


def _bars(axes: Axes, loads: Mapping[str, Mapping[str, float]], title: str) -> None:
    """One bar for each load, cut into its parts, as shares of the whole: waiting pale, work full.

    What is below 0 on the page is not drawn.
    """
    names = list(loads)
    wholes = [sum(loads[name].values()) for name in names]
    floor = [0.0] * len(names)
    for part, (rows, colour) in _PARTS.items():
        heights = [
            max(0.0, sum(loads[name].get(row, 0.0) for row in rows)) / whole
            for name, whole in zip(names, wholes, strict=True)
        ]
        if any(heights):
            axes.bar(names, heights, bottom=floor, color=colour, label=part)
        floor = [low + height for low, height in zip(floor, heights, strict=True)]
    for name, whole, top in zip(names, wholes, floor, strict=True):
        axes.annotate(f"{whole:.0f} ms", (name, max(1.0, top)), ha="center", va="bottom", fontsize=8)
    axes.set(title=title, ylabel="share", ylim=(0.0, 1.08))
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
