"""Thresholds beyond the data: a generalised Pareto fit to the most alike non-mated pairs.

Extreme-value theory (Pickands, Balkema, de Haan) gives exceedances over a high score the distribution
``P(S > u + y) = p_u (1 + k y / s) ** (-1 / k)``. The fit is made over the pairs above the score at a false match rate
of 1e-4 (at least 200 of them), and continued to lower rates; what comes from it is marked as extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import genpareto

from visavis_accuracy.bootstrap import Interval, by_likeness, draws, interval_of, most_alike, non_mated_weight
from visavis_accuracy.rates import Doubles
from visavis_accuracy.scores import Ids, PairScores

#: Pairs a fit needs, and the share of pairs it prefers to see.
FEWEST, SHARE = 200, 1e-4
#: So many times the pairs of a fit are at hand for the draws, some of which draw the most alike pairs less often.
REACH = 10


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
    most = by_likeness(most_alike(scores.kept_non_mated, wanted + 1))
    return _fit(most.scores.astype(np.float64), wanted, scores.non_mated_pairs)


def tail_intervals(scores: PairScores, identities: Ids, rates: Sequence[float]) -> dict[float, Interval | None]:
    """Of the thresholds that the fitted tail gives: it is fitted anew to every draw of identities.

    A draw's pairs stand in its tail as often as both of their people were drawn. The intervals say how sure the fit
    is of its people, not whether the distribution's form holds beyond them.
    """
    sizes = np.bincount(identities).astype(np.float64)
    wanted = max(FEWEST, int(SHARE * scores.non_mated_pairs))
    near = by_likeness(most_alike(scores.kept_non_mated, REACH * wanted))
    found: dict[float, list[float]] = {rate: [] for rate in rates}
    for weights in draws(sizes.size):
        total = non_mated_weight(weights, sizes)
        often = (weights[near.probes] * weights[near.references]).astype(np.int64)
        tail = _fit(np.repeat(near.scores, often).astype(np.float64), max(FEWEST, int(SHARE * total)), total)
        for rate, thresholds in found.items():
            thresholds.append(tail.threshold(rate) if tail and rate < tail.share else math.nan)
    return {rate: interval_of(thresholds) for rate, thresholds in found.items()}


def _fit(falling: Doubles, wanted: int, total: float) -> Tail | None:
    """To the first so many of the scores, most alike first, of so many pairs in total; None where there are fewer."""
    if falling.size <= wanted or falling[0] <= falling[wanted]:
        return None
    start = float(falling[wanted])
    shape, _, scale = genpareto.fit(falling[:wanted] - start, floc=0)
    return Tail(start, wanted / total, float(shape), float(scale), wanted)
