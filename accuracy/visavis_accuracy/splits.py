"""Do thresholds hold on strangers? Calibrate on half of the people, measure on the other half."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.table import Table

from visavis_accuracy.calibration import CalibrationImpossible, point_at
from visavis_accuracy.rates import allowed_factor, false_match_rate_at
from visavis_accuracy.scores import Ids, PairScores, count_pairs
from visavis_accuracy.tail import fit_tail

#: How far the measured rate may be from the nominal one, as a factor.
ALLOWED = {rate: factor for rate in (1e-3, 1e-4, 1e-5) if (factor := allowed_factor(rate)) is not None}
#: A rate is judged where so many pairs of the tested half are expected to match: fewer would say nothing.
FEWEST_EXPECTED = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """The rate measured on one half at the threshold of the other."""

    split: int
    nominal: float
    threshold: float
    #: Whether the calibrating half's threshold came from its fitted tail.
    extrapolated: bool
    false_match_rate: float

    @property
    def factor(self) -> float:
        """Measured over nominal."""
        return self.false_match_rate / self.nominal

    @property
    def holds(self) -> bool:
        """Whether the factor is allowed."""
        return 1 / ALLOWED[self.nominal] <= self.factor <= ALLOWED[self.nominal]


def measure_splits(
    vectors: npt.NDArray[np.float32], identities: Ids, *, splits: int = 5, rates: Sequence[float] = tuple(ALLOWED)
) -> list[Measured]:
    """Both directions of every split, so ``2 * splits`` rows per rate, fewer where a half carries too few pairs.

    Thresholds are those that ``calibrate`` would write for the half.
    """
    people = int(identities.max()) + 1
    rows: list[Measured] = []
    for split in range(splits):
        chosen = np.random.default_rng(split).permutation(people) < people // 2
        halves = [count_pairs(vectors[side], identities[side]) for side in (chosen[identities], ~chosen[identities])]
        for calibrated, tested in (halves, halves[::-1]):
            rows.extend(_rows(split, calibrated, tested, rates))
    return rows


def _rows(split: int, calibrated: PairScores, tested: PairScores, rates: Sequence[float]) -> Iterator[Measured]:
    tail = fit_tail(calibrated)
    for rate in rates:
        point = point_at(calibrated, tail, rate)
        if point is not None and rate * tested.non_mated_pairs >= FEWEST_EXPECTED:
            found = false_match_rate_at(tested, point.threshold)
            yield Measured(split, rate, point.threshold, point.extrapolated, found)


def check_judged(rows: Sequence[Measured], rates: Sequence[float], people: int, photographs: int) -> None:
    """A rate without a single row would look as if its threshold held.

    Raises:
        CalibrationImpossible: there is such a rate.
    """
    if unjudged := sorted(set(rates) - {row.nominal for row in rows}, reverse=True):
        raise CalibrationImpossible(
            f"false match rates of {', '.join(f'{rate:g}' for rate in unjudged)} could not be judged: halves of "
            f"{people} people with {photographs} photographs have too few non-mated pairs; "
            "bring more people, or name the rates to judge with --rate"
        )


def splits_table(rows: Sequence[Measured]) -> Table:
    """For the terminal."""
    table = Table(
        title="Thresholds on strangers", caption="e: extrapolated, from a fitted tail, as calibrate would write it"
    )
    for heading in ("split", "nominal FMR", "threshold", "measured FMR", "factor", "allowed"):
        table.add_column(heading, justify="right")
    for row in rows:
        threshold = f"{row.threshold:.4f}" + (" e" if row.extrapolated else "  ")
        cells = (f"{row.split + 1}", f"{row.nominal:.0e}", threshold, f"{row.false_match_rate:.2e}")
        table.add_row(*cells, f"{row.factor:.2f}", f"{ALLOWED[row.nominal]:g}")
    return table
