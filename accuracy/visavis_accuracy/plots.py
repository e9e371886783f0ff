"""The two plots of an evaluation: the DET curve and both score distributions."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from visavis_accuracy.evaluation import Evaluation
from visavis_accuracy.files import write_bytes
from visavis_accuracy.scores import BINS, Counts, centres

MATED, NON_MATED, LINE = "#1b7f5c", "#b3432b", "#4b5563"
#: Bins of the drawn histogram.
DRAWN = 200
mpl.rcParams["svg.hashsalt"] = "visavis"  # the same plot is the same file


def det_curve(evaluation: Evaluation) -> Figure:
    """FNMR over FMR, both logarithmic, with the reported rates marked."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    rates = evaluation.curve
    lowest = 1 / max(evaluation.scores.non_mated_pairs, 1)
    shown = rates.false_match_rate >= lowest
    floor = 1 / max(evaluation.scores.mated_pairs, 1)
    axes.loglog(
        rates.false_match_rate[shown], np.maximum(rates.false_non_match_rate[shown], floor), color=LINE, linewidth=1.8
    )
    for row in evaluation.rows:
        if row.false_non_match_rate is None:
            continue
        missed = max(row.false_non_match_rate, floor)
        axes.plot(row.false_match_rate, missed, "o", color=NON_MATED, markersize=5)
        if (between := row.false_non_match_interval) is not None:
            ends = [max(between.low, floor), max(between.high, floor)]
            axes.plot([row.false_match_rate] * 2, ends, color=NON_MATED, linewidth=1.2)
    axes.set(
        xlabel="false match rate", ylabel="false non-match rate", title="Detection error trade-off", xlim=(lowest, 0.5)
    )
    axes.grid(visible=True, which="major", color="#e5e7eb")
    return figure


def score_histogram(evaluation: Evaluation) -> Figure:
    """Densities of mated and non-mated scores, with the thresholds of the reported rates."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    middles = centres().reshape(DRAWN, -1).mean(axis=1)
    for counts, colour, name in (
        (evaluation.scores.non_mated, NON_MATED, "non-mated pairs"),
        (evaluation.scores.mated, MATED, "mated pairs"),
    ):
        axes.fill_between(middles, _density(counts), step="mid", color=colour, alpha=0.55, label=name)
    for row in evaluation.rows:
        if row.threshold is not None:
            axes.axvline(row.threshold, color=LINE, linewidth=0.8, linestyle=":")
            axes.text(
                row.threshold,
                axes.get_ylim()[1],
                f"{row.false_match_rate:.0e}",
                rotation=90,
                fontsize=7,
                va="top",
                ha="right",
            )
    axes.set(xlabel="comparison score", ylabel="density", title="Comparison scores", xlim=(-0.4, 1.0), ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def _density(counts: Counts) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    drawn = counts.reshape(DRAWN, BINS // DRAWN).sum(axis=1)
    return np.asarray(drawn / max(int(drawn.sum()), 1) * (DRAWN / 2), np.float64)


def save(figure: Figure, path: Path) -> list[Path]:
    """As SVG and PNG beside each other, which are returned; ``path`` has no suffix."""
    vector, pixels = path.with_suffix(".svg"), path.with_suffix(".png")
    write_bytes(vector, _drawn(figure, "svg", metadata={"Date": None}))
    write_bytes(pixels, _drawn(figure, "png", dpi=150))
    return [vector, pixels]


def _drawn(figure: Figure, form: str, **settings: Any) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format=form, **settings)
    return drawn.getvalue()
