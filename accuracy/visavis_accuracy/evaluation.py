"""One evaluation: from enrolled photographs to figures with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visavis_accuracy.bootstrap import Interval, Resampled, resample
from visavis_accuracy.pairs_file import Pair
from visavis_accuracy.photographs import CollectionInvalid, Photograph, digest
from visavis_accuracy.rates import RATES, Curve, curve, fold_accuracy, threshold_at, true_match_rate_at
from visavis_accuracy.scores import Ids, PairScores, count_pairs
from visavis_accuracy.stage_times import StageTimes
from visavis_accuracy.templates import Enrolled

#: Fewer of a kind say nothing of an equal error rate.
FEWEST_PAIRS = 100


@dataclass(frozen=True, slots=True)
class RateRow:
    """What one false match rate costs."""

    false_match_rate: float
    threshold: float | None
    threshold_interval: Interval | None
    true_match_rate: float | None
    true_match_interval: Interval | None

    @property
    def false_non_match_rate(self) -> float | None:
        """What the true match rate leaves."""
        return None if self.true_match_rate is None else 1 - self.true_match_rate

    @property
    def false_non_match_interval(self) -> Interval | None:
        """The true match rate's, from the other side."""
        found = self.true_match_interval
        return None if found is None else Interval(1 - found.high, 1 - found.low)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything a report shows."""

    rows: tuple[RateRow, ...]
    curve: Curve
    scores: PairScores
    photographs: int
    identities: int
    without_face: tuple[str, ...]
    unreadable: tuple[str, ...]
    data_digest: str
    seconds: float
    analysed: int
    concurrency: int
    #: Mean and deviation of the accuracy over the folds of a pairs file; 0 and None without one.
    folds: int = 0
    fold_accuracy: tuple[float, float] | None = None
    #: Where the time went inside Triton; None where that is not known.
    stage_times: StageTimes | None = None

    @property
    def equal_error_rate(self) -> float | None:
        """None where FEWEST_PAIRS pairs of either kind are not there: two people's would make it zero, as a rule."""
        enough = min(self.scores.mated_pairs, self.scores.non_mated_pairs) >= FEWEST_PAIRS
        return self.curve.equal_error_rate if enough else None

    @property
    def too_small_for(self) -> str | None:
        """What so few pairs cannot tell, for people; None where they tell every figure."""
        parts = []
        if dashes := [row.false_match_rate for row in self.rows if row.threshold is None]:
            rates = ", ".join(f"{rate:.0e}" for rate in dashes)
            parts.append(f"false match rates of {rates} (the last takes {round(10 / dashes[-1]):,} non-mated pairs)")
        if self.equal_error_rate is None:
            parts.append(f"an equal error rate (it takes {FEWEST_PAIRS} mated and as many non-mated pairs)")
        return " and ".join(parts) or None


def identity_numbers(photographs: Sequence[Photograph]) -> Ids:
    """A number for each photograph's identity, from 0."""
    _, numbers = np.unique([photograph.identity for photograph in photographs], return_inverse=True)
    return numbers.astype(np.int32)


def found_only(photographs: Sequence[Photograph], enrolled: Enrolled) -> tuple[npt.NDArray[np.float32], Ids]:
    """Templates (n, d) and identity numbers (n,) of the photographs with a face.

    Raises:
        CollectionInvalid: there are no two people to compare.
    """
    kept = [photograph for photograph, found in zip(photographs, enrolled.found, strict=True) if found]
    if len({photograph.identity for photograph in kept}) < 2:
        broken = enrolled.unreadable
        raise CollectionInvalid(
            f"of {len(photographs)} photographs {len(kept)} show a face: not of two people or more"
            + (f"; {len(broken)} could not be read, such as {broken[0]}" if broken else "")
        )
    return enrolled.vectors[enrolled.found], identity_numbers(kept)


def evaluate(
    photographs: Sequence[Photograph],
    enrolled: Enrolled,
    *,
    pairs: Sequence[Pair] | None = None,
    stage_times: StageTimes | None = None,
    progress: Callable[[int], None] = lambda _: None,
    intervals: bool = True,
) -> Evaluation:
    """Count all pairs and read the rates; with a pairs file, its 10-fold accuracy too."""
    vectors, identities = found_only(photographs, enrolled)
    scores = count_pairs(vectors, identities, progress)
    resampled = resample(scores, identities, RATES) if intervals else None
    absent = [photograph.name for photograph, found in zip(photographs, enrolled.found, strict=True) if not found]
    unreadable = set(enrolled.unreadable)
    return Evaluation(
        rows=tuple(_row(scores, resampled, rate) for rate in RATES),
        curve=curve(scores.mated, scores.non_mated),
        scores=scores,
        photographs=len(photographs),
        identities=len({photograph.identity for photograph in photographs}),
        without_face=tuple(name for name in absent if name not in unreadable),
        unreadable=tuple(enrolled.unreadable),
        data_digest=digest(photographs, enrolled.contents),
        seconds=enrolled.seconds,
        analysed=enrolled.analysed,
        concurrency=enrolled.concurrency,
        folds=len({pair.fold for pair in pairs or ()}),
        fold_accuracy=fold_accuracy(_pair_scores(enrolled, pairs), pairs) if pairs else None,
        stage_times=stage_times,
    )


def _row(scores: PairScores, resampled: Resampled | None, rate: float) -> RateRow:
    threshold = threshold_at(scores, rate)
    if threshold is None:
        return RateRow(rate, None, None, None, None)
    return RateRow(
        rate,
        threshold,
        resampled.threshold_interval(rate) if resampled else None,
        true_match_rate_at(scores, threshold) if scores.mated_pairs else None,
        resampled.true_match_interval(rate) if resampled else None,
    )


def _pair_scores(enrolled: Enrolled, pairs: Sequence[Pair]) -> npt.NDArray[np.float64]:
    """A pair with a face missing scores lowest: it is never called a match."""
    probes = np.array([pair.probe for pair in pairs])
    references = np.array([pair.reference for pair in pairs])
    scores = np.sum(enrolled.vectors[probes] * enrolled.vectors[references], axis=1).astype(np.float64)
    return np.where(enrolled.found[probes] & enrolled.found[references], scores, -1.0)
