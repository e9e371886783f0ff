"""What a recall measurement leaves behind: a table on the terminal, JSON and a plot."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from visavis_accuracy.files import write_json
from visavis_accuracy.plots import LINE, MATED, NON_MATED, save
from visavis_accuracy.proportions import wilson
from visavis_accuracy.recall import CLOSE_UPS_FOUND, Recall, Row
from visavis_accuracy.scenes import Kind

#: What the plot shows; EXIF turns are numbers without an order.
DRAWN = (Kind.SIZE, Kind.CLOSE_UP, Kind.ROTATION, Kind.EXPOSURE)

STYLES = (":", "--", "-.", "-")


def recall_tables(recall: Recall) -> Iterator[Table]:
    """A table per kind of scene: counts and shares with Wilson's 95 % intervals.

    ``at``: the scale at which the reference finds most; ``p``: how likely a shortfall against it is mere chance.
    Both, and what it finds, are left out without a reference.
    """
    compared = any(row.theirs for row in recall.rows)
    for kind in (kind for kind in Kind if any(recall.of(kind))):
        table = Table(title=str(kind), box=None, title_justify="left", title_style="bold", padding=(0, 2, 0, 0))
        for heading in ("", "found", "share (95 %)", *(("OpenCV", "share (95 %)", "at", "p") if compared else ())):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in recall.of(kind):
            table.add_row(f"{row.case.value:g}", *_cells(row.ours), *_beside(row, short=row in recall.shortfalls))
        yield table


def _beside(row: Row, *, short: bool) -> tuple[str, ...]:
    """The reference's cells."""
    if row.best is None:
        return ()
    return *_cells(row.best), f"{row.best_size} px", f"{'[red]' if short else ''}{row.p_value:.2g}"


def close_ups_sentence(recall: Recall) -> str | None:
    """How many of all close-ups are found, with an interval, and how many should be; None where there are none."""
    if not recall.close_ups:
        return None
    count, share = _cells(recall.close_ups)
    return f"close-ups: {count} of {len(recall.close_ups)} found, {share}; at least {CLOSE_UPS_FOUND:.0%} are demanded"


def _cells(found: Sequence[bool]) -> tuple[str, str]:
    interval = wilson(sum(found), len(found))
    share = sum(found) / len(found)
    return f"{sum(found)}", f"{share:.1%} ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def recall_document(recall: Recall, about: Mapping[str, Any]) -> dict[str, Any]:
    """The figures for programs."""
    return {
        **about,
        "photographs": recall.photographs,
        "without_face": recall.without_face,
        "unreadable": recall.unreadable,
        "close_ups_found": recall.close_ups_found,
        "close_ups": _figures(recall.close_ups) if recall.close_ups else None,
        "complaints": recall.complaints,
        "scenes": [
            {
                "kind": row.case.kind.value,
                "value": row.case.value,
                "found": _figures(row.ours),
                "reference": {str(size): _figures(found) for size, found in row.theirs.items()},
                "best_size": row.best_size,
                "p_value_of_shortfall": row.p_value,
            }
            for row in recall.rows
        ],
    }


def _figures(found: Sequence[bool]) -> dict[str, Any]:
    return {"count": sum(found), "of": len(found), "interval": list(asdict(wilson(sum(found), len(found))).values())}


def recall_figure(recall: Recall) -> Figure:
    """A panel for each measured kind, with intervals: ours, and the reference's, its other scales as thin lines."""
    drawn = [kind for kind in DRAWN if any(recall.of(kind))]
    height, width = (len(drawn) + 1) // 2, min(len(drawn), 2)
    figure = Figure(figsize=(10, 3.5 * max(height, 1)), layout="constrained")
    for place, kind in enumerate(drawn, start=1):
        rows = list(recall.of(kind))
        axes = figure.add_subplot(height, width, place)
        for style, size in zip(itertools.cycle(STYLES), rows[0].theirs):
            shares = [sum(row.theirs[size]) / len(row.ours) for row in rows]
            axes.plot(_places(rows), shares, style, color=LINE, linewidth=0.8, label=f"OpenCV at {size} px")
        if rows[0].theirs:
            _draw(axes, rows, [row.best or () for row in rows], NON_MATED, "OpenCV at its best scale")
        _draw(axes, rows, [row.ours for row in rows], MATED, "the ensemble")
        axes.set(xlabel=str(kind), ylabel="share found", ylim=(-0.03, 1.03))
        if kind is Kind.SIZE:
            axes.set_xscale("log", base=2)
        axes.set_xticks(_places(rows), [f"{place:g}" for place in _places(rows)], fontsize=8)
        axes.minorticks_off()
        axes.grid(visible=True, color="#e5e7eb")
    if figure.axes:
        labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(*labels, frameon=False, ncols=3, loc="outside lower center")
    return figure


def _places(rows: Sequence[Row]) -> list[float]:
    return [row.case.value for row in rows]


def _draw(axes: Axes, rows: Sequence[Row], found: Sequence[Sequence[bool]], colour: str, name: str) -> None:
    shares = [sum(each) / len(each) for each in found]
    between = [wilson(sum(each), len(each)) for each in found]
    # An interval always holds its share; a rounding error must not turn a bar around.
    below = [max(0.0, share - interval.low) for share, interval in zip(shares, between, strict=True)]
    above = [max(0.0, interval.high - share) for share, interval in zip(shares, between, strict=True)]
    axes.errorbar(_places(rows), shares, (below, above), color=colour, linewidth=1.6, capsize=2.5, label=name)


def write_recall(recall: Recall, about: Mapping[str, Any], folder: Path) -> list[Path]:
    """``recall.json`` and the plot as SVG and PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    save(recall_figure(recall), folder / "recall")
    write_json(folder / "recall.json", json.loads(json.dumps(recall_document(recall, about))))
    return [folder / "recall.json", folder / "recall.svg", folder / "recall.png"]
