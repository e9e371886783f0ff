"""Thresholds with their evidence: ``operating_points.json``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from visavis_accuracy.bootstrap import Interval, resample
from visavis_accuracy.rates import RATES, threshold_at
from visavis_accuracy.scores import Ids, PairScores
from visavis_accuracy.tail import Tail, fit_tail, tail_intervals

#: A rate is read off the data while at least so many non-mated pairs lie above its threshold.
EVIDENCE_PAIRS = 100


class CalibrationImpossible(Exception):
    """The data carry no thresholds; the text says why."""


@dataclass(frozen=True, slots=True)
class CalibratedPoint:
    """A threshold, how sure it is, and whether it was measured or continued."""

    false_match_rate: float
    threshold: float
    interval: Interval | None
    extrapolated: bool


def calibrate(scores: PairScores, identities: Ids) -> list[CalibratedPoint]:
    """A threshold for every rate of :data:`~visavis_accuracy.rates.RATES`, measured or from the fitted tail.

    Raises:
        CalibrationImpossible: too few pairs for a tail, or thresholds that do not rise.
    """
    tail = fit_tail(scores)
    points = [_needed_point(scores, tail, rate) for rate in RATES]
    for one, other in itertools.pairwise(points):
        if not one.threshold < other.threshold < 1:
            raise CalibrationImpossible(
                f"the threshold at {other.false_match_rate:g} is not above the one at {one.false_match_rate:g}: "
                "too few people, or labels that are wrong"
            )
    return _with_intervals(points, scores, identities)


def point_at(scores: PairScores, tail: Tail | None, rate: float) -> CalibratedPoint | None:
    """Measured or from the tail, without its interval; None where neither says anything about the rate."""
    measured = threshold_at(scores, rate)
    if measured is not None and rate * scores.non_mated_pairs >= EVIDENCE_PAIRS:
        return CalibratedPoint(rate, measured, None, False)
    if tail is None or rate >= tail.share:
        return None
    return CalibratedPoint(rate, tail.threshold(rate), None, True)


def _needed_point(scores: PairScores, tail: Tail | None, rate: float) -> CalibratedPoint:
    point = point_at(scores, tail, rate)
    if point is None:
        raise CalibrationImpossible(
            f"{scores.non_mated_pairs} non-mated pairs say nothing about a false match rate of {rate:g}: "
            "at least some hundred people are needed"
        )
    return point


def _with_intervals(points: list[CalibratedPoint], scores: PairScores, identities: Ids) -> list[CalibratedPoint]:
    """Each from draws of identities, in the way in which its threshold was found."""
    continued = [point.false_match_rate for point in points if point.extrapolated]
    fitted = tail_intervals(scores, identities, continued) if continued else {}
    resampled = resample(scores, identities, tuple(p.false_match_rate for p in points if not p.extrapolated))
    return [
        replace(
            point,
            interval=fitted[point.false_match_rate]
            if point.extrapolated
            else resampled.threshold_interval(point.false_match_rate),
        )
        for point in points
    ]


def document(
    points: list[CalibratedPoint], scores: PairScores, *, models: Mapping[str, Any], data: Mapping[str, Any]
) -> dict[str, Any]:
    """The file's contents; ``models`` is models.json, ``data`` says which photographs and which labels were dropped."""
    return {
        "operating_points": [
            {
                "false_match_rate": point.false_match_rate,
                "threshold": round(point.threshold, 6),
                "interval": [round(side, 6) for side in asdict(point.interval).values()] if point.interval else None,
                "extrapolated": point.extrapolated,
            }
            for point in points
        ],
        # What thresholds depend on, and no more: an export that changes nothing of it must not unsettle them.
        "models": {
            "identity": models["identity"],
            **{part: {"sha256": models[part]["sha256"]} for part in ("detector", "embedder")},
        },
        "data": {**data, "mated_pairs": scores.mated_pairs, "non_mated_pairs": scores.non_mated_pairs},
        "evidence": f"calibrated on {data['name']}: {data['identities']} people, {data['photographs']} photographs, "
        f"{scores.non_mated_pairs} non-mated pairs",
        "made": date.today().isoformat(),
    }
