"""Thresholds beyond the data: a generalised Pareto fit to the most alike non-mated pairs.

Extreme-value theory (Pickands, Balkema, de Haan) gives exceedances over a high score the distribution
``P(S > u + y) = p_u (1 + k y / s) ** (-1 / k)``. The fit is made over the pairs above the score at a false match rate
of 1e-4 (at least 200 of them), and continued to lower rates; what comes from it is marked as extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import genpareto

from visavis_accuracy.scores import PairScores

#: Pairs a fit needs, and the share of pairs it prefers to see.
FEWEST, SHARE = 200, 1e-4


@dataclass(frozen=True, slots=True)
class Tail:
    """A fitted tail: ``share`` of all non-mated pairs score above ``start``."""

    start: float
    share: float
    shape: float
    scale: float
    pairs: int

    def threshold(self, rate: float) -> float:
        """The score that that share of non-mated pairs exceeds, below ``share``; never above 1."""
        return float(min(1.0, self.start + genpareto.isf(rate / self.share, self.shape, scale=self.scale)))


def fit_tail(scores: PairScores) -> Tail | None:
    """None where there are too few pairs."""
    wanted = max(FEWEST, int(SHARE * scores.non_mated_pairs))
    kept = np.sort(scores.kept_non_mated.scores.astype(np.float64))[::-1]
    if kept.size <= wanted:
        return None
    start = float(kept[wanted])
    shape, _, scale = genpareto.fit(kept[:wanted] - start, floc=0)
    return Tail(start, wanted / scores.non_mated_pairs, float(shape), float(scale), wanted)
