"""``crowd``: what all pairs of very many templates take, in time and memory, measured on made-up people."""

from __future__ import annotations

import resource
import sys
import time
from typing import Annotated

import numpy as np
import typer

from visavis_accuracy.bootstrap import between, resample
from visavis_accuracy.rates import RATES, threshold_at, true_match_rate_at
from visavis_accuracy.scores import Floats, Ids, count_pairs
from visavis_accuracy.terminal import console, progress_bar

#: How far a photograph's template lies from its person's, so that rates look like those of a good model.
SCATTER = 1.0


def make_crowd(templates: int, people: int, dimensions: int, *, seed: int = 0) -> tuple[Floats, Ids]:
    """Templates of made-up people, float32 (templates, dimensions) of unit length, and whose each is, (templates,)."""
    draw = np.random.default_rng(seed)
    identities = np.sort(np.arange(templates, dtype=np.int32) % people)
    vectors = draw.standard_normal((people, dimensions), np.float32)[identities]
    vectors += SCATTER * draw.standard_normal(vectors.shape, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), identities


def peak_mb() -> float:
    """The most memory that this process has held so far, in 10^6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def crowd_command(
    templates: Annotated[int, typer.Option(min=2)] = 100_000,
    people: Annotated[int, typer.Option(min=2)] = 20_000,
    dimensions: Annotated[int, typer.Option(min=2)] = 128,
) -> None:
    """Compare all pairs of made-up templates, and resample the people for intervals; tells time and peak memory."""
    vectors, identities = make_crowd(templates, people, dimensions)
    before_mb = peak_mb()
    started = time.perf_counter()
    with progress_bar() as bar:
        task = bar.add_task("templates", total=templates)
        scores = count_pairs(vectors, identities, lambda done: bar.update(task, completed=done))
    counted = time.perf_counter()
    counted_mb = peak_mb()
    resampled = resample(scores, identities, RATES)
    ended = time.perf_counter()
    console.print(f"{templates:,} templates of {dimensions} numbers, {people:,} people")
    console.print(f"{scores.mated_pairs:,} mated and {scores.non_mated_pairs:,} non-mated pairs")
    console.print(
        f"all pairs: {counted - started:.1f} s, at most {counted_mb:.0f} MB, of which {before_mb:.0f} MB before"
    )
    console.print(f"intervals: {ended - counted:.1f} s, at most {peak_mb():.0f} MB")
    for rate in RATES:
        if (threshold := threshold_at(scores, rate)) is not None:
            thresholds = between(resampled.threshold_interval(rate))
            found = f"{true_match_rate_at(scores, threshold):.4f} ({between(resampled.true_match_interval(rate))})"
            console.print(f"FMR {rate:.0e}: threshold {threshold:.4f} ({thresholds}), TMR {found}", highlight=False)
