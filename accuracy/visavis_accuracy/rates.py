"""Error rates from pair scores: FMR, FNMR, TMR, EER (ISO/IEC 19795-1), and 10-fold accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visavis_accuracy.pairs_file import Pair
from visavis_accuracy.scores import BINS, Counts, PairScores, centres

Doubles = npt.NDArray[np.float64]

#: The false match rates that are reported and calibrated.
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def allowed_factor(rate: float) -> float | None:
    """How far a measured rate may be from the nominal one, as a factor; None: shown, not judged."""
    if rate >= 1e-4:
        return 1.5
    return 3.0 if rate >= 1e-5 else None


@dataclass(frozen=True, slots=True)
class Curve:
    """FMR and FNMR over the threshold, at every bin's lower edge."""

    thresholds: Doubles
    false_match_rate: Doubles
    false_non_match_rate: Doubles

    @property
    def equal_error_rate(self) -> float:
        """Where the two rates meet."""
        at = int(np.argmax(self.false_match_rate <= self.false_non_match_rate))
        return float((self.false_match_rate[at] + self.false_non_match_rate[at]) / 2)


def curve(mated: Counts, non_mated: Counts) -> Curve:
    """Rates from two histograms of :data:`~visavis_accuracy.scores.BINS` bins."""
    edges = centres() - 1 / BINS
    return Curve(edges, _share_above(non_mated), 1 - _share_above(mated))


def _share_above(counts: Counts) -> Doubles:
    return np.asarray(counts[::-1].cumsum()[::-1] / max(int(counts.sum()), 1), np.float64)


def threshold_at(scores: PairScores, rate: float) -> float | None:
    """The smallest threshold at which at most that share of non-mated pairs matches.

    None where the data cannot say: fewer than ten pairs would lie above it, or more than that share in the last bin.
    """
    allowed = int(rate * scores.non_mated_pairs)
    if allowed < 10:
        return None
    kept = scores.kept_non_mated.scores
    if allowed < kept.size:
        # Between the last score that may match and the next lower one, so that neither rounding decides.
        low, high = np.partition(kept, [kept.size - allowed - 1, kept.size - allowed])[kept.size - allowed - 1 :][:2]
        return float((float(low) + float(high)) / 2)
    few_enough = scores.non_mated[::-1].cumsum()[::-1] <= allowed
    return float(centres()[int(np.argmax(few_enough))] - 1 / BINS) if few_enough.any() else None


def rate_at(counts: Counts, threshold: float) -> float:
    """The share of a histogram's pairs at or above a threshold."""
    edges = centres() - 1 / BINS
    return float(counts[edges >= threshold - 1e-12].sum() / max(int(counts.sum()), 1))


def false_match_rate_at(scores: PairScores, threshold: float) -> float:
    """Exact where the single pairs are kept, else from the histogram."""
    if threshold >= scores.kept_from:
        return float((scores.kept_non_mated.scores >= threshold).sum() / max(scores.non_mated_pairs, 1))
    return rate_at(scores.non_mated, threshold)


def true_match_rate_at(scores: PairScores, threshold: float) -> float:
    """Over the kept mated pairs."""
    return float((scores.kept_mated.scores >= threshold).mean()) if scores.kept_mated.scores.size else 0.0


def fold_accuracy(scores: Doubles, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Mean and standard deviation over folds: the threshold that is best on the others is tried on each (LFW)."""
    mated = np.array([pair.mated for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    found = []
    for fold in sorted(set(folds)):
        rest, here = folds != fold, folds == fold
        if not rest.any():
            rest = here
        candidates = np.unique(scores[rest])
        right = [((scores[rest] >= threshold) == mated[rest]).mean() for threshold in candidates]
        best = candidates[int(np.argmax(right))]
        found.append(((scores[here] >= best) == mated[here]).mean())
    return float(np.mean(found)), float(np.std(found))
