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

from visavis_accuracy.rates import Doubles, false_match_rate_at, threshold_at
from visavis_accuracy.scores import Floats, Ids, KeptPairs, PairScores

REPLICATES = 200
#: Single pairs that one replicate weighs at the most; beyond it a random share stands for all.
WEIGHED = 600_000
#: So many times the pairs above a threshold must be among the most alike, lest a replicate's threshold lie below them.
REACH = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


def between(interval: Interval | None) -> str:
    """For people; a dash where there is none."""
    return "–" if interval is None else f"{interval.low:.4f} … {interval.high:.4f}"


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
    mated = by_likeness(_share(scores.kept_mated, WEIGHED, seed))
    tails = {rate: _true_to_all(scores, rate, *_tail(scores, rate, seed)) for rate in rates}
    thresholds: dict[float, list[float]] = {rate: [] for rate in rates}
    found: dict[float, list[float]] = {rate: [] for rate in rates}
    for weights in draws(sizes.size, seed):
        total = non_mated_weight(weights, sizes)
        own = weights[mated.probes].cumsum()
        for rate, (pairs, standing_for) in tails.items():
            both = (weights[pairs.probes] * weights[pairs.references] * standing_for).cumsum()
            at = int(np.searchsorted(both, rate * total))
            threshold = float(pairs.scores[at]) if 0 < at < both.size else math.nan
            thresholds[rate].append(threshold)
            found[rate].append(_share_from(threshold, mated.scores, own))
    return Resampled(thresholds, found)


def _share_from(threshold: float, scores: Floats, weights: Doubles) -> float:
    """Of the pairs' weight, summed from the most alike pair on, what lies at or above a threshold."""
    if math.isnan(threshold) or not weights.size or weights[-1] <= 0:
        return math.nan
    matching = int(np.searchsorted(-scores, -threshold, side="right"))
    return float(weights[matching - 1] / weights[-1]) if matching else 0.0


def non_mated_weight(weights: Doubles, sizes: Doubles) -> float:
    """How many non-mated pairs a draw has; ``sizes``: each identity's templates."""
    return float(((weights * sizes).sum() ** 2 - ((weights * sizes) ** 2).sum()) / 2)


def draws(identities: int, seed: int = 0) -> Iterator[Doubles]:
    """How often each identity is drawn, in each of :data:`REPLICATES` draws; the same seed draws the same people."""
    draw = np.random.default_rng(seed)
    for _ in range(REPLICATES):
        yield np.bincount(draw.integers(0, identities, identities), minlength=identities).astype(np.float64)


def _tail(scores: PairScores, rate: float, seed: int) -> tuple[KeptPairs, Floats]:
    """The pairs around the threshold and above it, most alike first, and how many pairs each of them stands for.

    Where the most alike pairs do not reach far enough below the threshold, the random share continues them.
    """
    kept, every = scores.kept_non_mated, scores.non_mated_pairs
    wanted = int(10 * rate * every) + 2000
    if kept.scores.size >= min(REACH * rate, 1) * every:
        return _weighed(most_alike(kept, wanted), 1, WEIGHED, seed)
    lower = scores.shared_non_mated.below(scores.kept_from)
    each = (every - kept.scores.size) / max(lower.scores.size, 1)
    below = most_alike(lower, int((wanted - kept.scores.size) / each) + 1)
    parts = [_weighed(kept, 1, WEIGHED // 2, seed), _weighed(below, each, WEIGHED // 2, seed)]
    # All of the first part score higher than all of the second.
    return KeptPairs.join([pairs for pairs, _ in parts]), np.concatenate([numbers for _, numbers in parts])


def _true_to_all(scores: PairScores, rate: float, pairs: KeptPairs, standing_for: Floats) -> tuple[KeptPairs, Floats]:
    """The same pairs with such numbers that they say of the threshold what all pairs say of it.

    Else a share's own chance would shift an interval: by more than its width where there are many people.
    """
    threshold = threshold_at(scores, rate)
    if threshold is None:
        return pairs, standing_for
    matching = float(standing_for[pairs.scores >= threshold].sum(dtype=np.float64))
    all_matching = false_match_rate_at(scores, threshold) * scores.non_mated_pairs
    return pairs, standing_for * np.float32(all_matching / matching) if matching else standing_for


def _weighed(pairs: KeptPairs, each: float, most: int, seed: int) -> tuple[KeptPairs, Floats]:
    """Most alike first, at most so many, and how many pairs each then stands for, where it stood for ``each``."""
    shared = by_likeness(_share(pairs, most, seed))
    for_each = each * pairs.scores.size / max(shared.scores.size, 1)
    return shared, np.full(shared.scores.size, for_each, np.float32)


def most_alike(pairs: KeptPairs, wanted: int) -> KeptPairs:
    """So many of them, and those as alike as the last."""
    size = pairs.scores.size
    if wanted >= size:
        return pairs
    return pairs.above(float(np.partition(pairs.scores, size - wanted)[size - wanted]))


def _share(pairs: KeptPairs, most: int, seed: int) -> KeptPairs:
    if pairs.scores.size <= most:
        return pairs
    chosen = np.random.default_rng(seed).choice(pairs.scores.size, most, replace=False)
    return pairs.at(chosen)


def by_likeness(pairs: KeptPairs) -> KeptPairs:
    """Most alike first."""
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
