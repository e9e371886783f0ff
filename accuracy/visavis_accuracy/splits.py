"""Do thresholds hold on strangers? Calibrate on half of the people, measure on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visavis_accuracy.calibration import CalibrationImpossible
from visavis_accuracy.rates import allowed_factor, false_match_rate_at, threshold_at
from visavis_accuracy.scores import Ids, count_pairs

#: How far the measured rate may be from the nominal one, as a factor.
ALLOWED = {rate: factor for rate in (1e-3, 1e-4, 1e-5) if (factor := allowed_factor(rate)) is not None}


@dataclass(frozen=True, slots=True)
class Measured:
    """The rate measured on one half at the threshold of the other."""

    split: int
    nominal: float
    threshold: float
    false_match_rate: float

    @property
    def factor(self) -> float:
        """Measured over nominal."""
        return self.false_match_rate / self.nominal


def measure_splits(
    vectors: npt.NDArray[np.float32], identities: Ids, *, splits: int = 5, rates: Sequence[float] = tuple(ALLOWED)
) -> list[Measured]:
    """Both directions of every split, so ``2 * splits`` rows per rate, fewer where the data carry no threshold.

    Raises:
        CalibrationImpossible: they carry none at all.
    """
    people = int(identities.max()) + 1
    rows = []
    for split in range(splits):
        chosen = np.random.default_rng(split).permutation(people) < people // 2
        halves = [count_pairs(vectors[side], identities[side]) for side in (chosen[identities], ~chosen[identities])]
        for calibrated, tested in (halves, halves[::-1]):
            for rate in rates:
                threshold = threshold_at(calibrated, rate)
                if threshold is not None:
                    rows.append(Measured(split, rate, threshold, false_match_rate_at(tested, threshold)))
    if not rows:
        raise CalibrationImpossible(
            f"halves of {people} people with {len(identities)} photographs have too few non-mated pairs for a false "
            f"match rate of {max(rates):g}: at least some hundred people are needed"
        )
    return rows
