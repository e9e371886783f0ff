"""Confidence intervals by resampling people, not pairs.

Pairs that share a person are not independent, so pairs are never resampled: identities are drawn with replacement,
and a pair counts as often as both of its identities were drawn (a mated pair as often as its one).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visavis_accuracy.scores import Floats, Ids, KeptPairs, PairScores

REPLICATES = 200
#: Single pairs that one replicate weighs at the most; beyond it a random share stands for all.
WEIGHED = 600_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Resampled:
    """One value of each replicate, from which intervals are read; nan where its draw of people cannot say."""

    thresholds: dict[float, list[float]]
    true_match_rates: dict[float, list[float]]

    def threshold_interval(self, rate: float) -> Interval | None:
        """Of the threshold at a false match rate."""
        return interval_of(self.thresholds[rate])

    def true_match_interval(self, rate: float) -> Interval | None:
        """Of the true match rate at a false match rate."""
        return interval_of(self.true_match_rates[rate])


def resample(scores: PairScores, identities: Ids, rates: tuple[float, ...], *, seed: int = 0) -> Resampled:
    """Thresholds and true match rates of :data:`REPLICATES` draws of identities (numbers, one per template)."""
    sizes = np.bincount(identities).astype(np.float64)
    mated = _sorted(_share(scores.kept_mated, seed))
    tails = {rate: _tail(scores, rate, seed) for rate in rates}
    thresholds: dict[float, list[float]] = {rate: [] for rate in rates}
    found: dict[float, list[float]] = {rate: [] for rate in rates}
    for weights in _draws(sizes.size, seed):
        total = ((weights * sizes).sum() ** 2 - ((weights * sizes) ** 2).sum()) / 2
        own = weights[mated.probes].cumsum()
        for rate, (pairs, standing_for) in tails.items():
            both = (weights[pairs.probes] * weights[pairs.references]).cumsum() * standing_for
            at = int(np.searchsorted(both, rate * total))
            threshold = float(pairs.scores[at]) if 0 < at < both.size else math.nan
            thresholds[rate].append(threshold)
            found[rate].append(_share_from(threshold, mated.scores, own))
    return Resampled(thresholds, found)


def _share_from(threshold: float, scores: Floats, weights: npt.NDArray[np.float64]) -> float:
    """Of the pairs' weight, summed from the most alike pair on, what lies at or above a threshold."""
    if math.isnan(threshold) or not weights.size or weights[-1] <= 0:
        return math.nan
    matching = int(np.searchsorted(-scores, -threshold, side="right"))
    return float(weights[matching - 1] / weights[-1]) if matching else 0.0


def _draws(identities: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    draw = np.random.default_rng(seed)
    for _ in range(REPLICATES):
        yield np.bincount(draw.integers(0, identities, identities), minlength=identities).astype(np.float64)


def _tail(scores: PairScores, rate: float, seed: int) -> tuple[KeptPairs, float]:
    """The pairs around the threshold and above it, most alike first, and how many pairs each stands for."""
    kept = scores.kept_non_mated
    wanted = int(10 * rate * scores.non_mated_pairs) + 2000
    if wanted < kept.scores.size:
        kept = kept.above(float(np.partition(kept.scores, kept.scores.size - wanted)[kept.scores.size - wanted]))
    shared = _share(kept, seed)
    return _sorted(shared), kept.scores.size / max(shared.scores.size, 1)


def _share(pairs: KeptPairs, seed: int) -> KeptPairs:
    if pairs.scores.size <= WEIGHED:
        return pairs
    chosen = np.random.default_rng(seed).choice(pairs.scores.size, WEIGHED, replace=False)
    return pairs.at(chosen)


def _sorted(pairs: KeptPairs) -> KeptPairs:
    order = np.argsort(-pairs.scores, kind="stable")
    return pairs.at(order)


def interval_of(values: npt.ArrayLike) -> Interval | None:
    """95 % of the values of all replicates; None where more than a tenth of them could not be measured."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if known.size < 0.9 * REPLICATES:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(low), float(high))
