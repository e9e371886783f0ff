"""Thresholds with their evidence: ``operating_points.json``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from visavis_accuracy.bootstrap import Interval, resample
from visavis_accuracy.rates import RATES, threshold_at
from visavis_accuracy.scores import Ids, PairScores
from visavis_accuracy.tail import Tail, fit_tail, tail_intervals

#: A rate is read off the data while at least so many non-mated pairs lie above its threshold.
EVIDENCE_PAIRS = 100
#: A fitted tail is believed while it expects so many pairs above its threshold. Drawn from LFW, folders of that size
#: give thresholds whose rate is within a factor of three in nineteen of twenty, and smaller ones rates up to a hundred
#: times too high (docs/accuracy-evidence.md).
FITTED_PAIRS = 10
#: Every contract has a printed threshold at this rate, and below it the points before it are continued.
LAST_NEEDED = 1e-4


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
    """A threshold for every rate of :data:`~visavis_accuracy.rates.RATES` that so many pairs can tell.

    Raises:
        CalibrationImpossible: too few pairs for a rate of LAST_NEEDED, or thresholds that do not rise.
    """
    tail = fit_tail(scores)
    found = [point_at(scores, tail, rate) for rate in RATES]
    points = [point for point in found if point is not None]
    if not points or points[-1].false_match_rate > LAST_NEEDED:
        raise CalibrationImpossible(
            f"{scores.non_mated_pairs:,} non-mated pairs are too few: the contracts need a threshold at a false match "
            f"rate of {LAST_NEEDED:g}, which takes {wanted(LAST_NEEDED)}"
        )
    for one, other in itertools.pairwise(points):
        if not one.threshold < other.threshold < 1:
            raise CalibrationImpossible(
                f"the threshold at {other.false_match_rate:g} is not above the one at {one.false_match_rate:g}: "
                "too few people, or labels that are wrong"
            )
    return _with_intervals(points, scores, identities)


def point_at(scores: PairScores, tail: Tail | None, rate: float) -> CalibratedPoint | None:
    """Measured or from the tail, without its interval; None where neither can be believed at that rate."""
    measured = threshold_at(scores, rate)
    if measured is not None and rate * scores.non_mated_pairs >= EVIDENCE_PAIRS:
        return CalibratedPoint(rate, measured, None, False)
    if tail is None or rate >= tail.share or round(rate * scores.non_mated_pairs, 6) < FITTED_PAIRS:
        return None
    return CalibratedPoint(rate, tail.threshold(rate), None, True)


def wanted(rate: float) -> str:
    """What a folder must hold for a threshold at that rate, for people: n photographs make about n²/2 pairs."""
    pairs = round(FITTED_PAIRS / rate)
    return f"{pairs:,} non-mated pairs, which some {math.ceil(math.sqrt(2 * pairs) / 50) * 50:,} photographs make"


def warning(points: Sequence[CalibratedPoint], scores: PairScores) -> str | None:
    """Which rates have no threshold, for people, and what becomes of them; None where there are all."""
    left_out = [rate for rate in RATES if rate not in {point.false_match_rate for point in points}]
    if not left_out:
        return None
    rates = ", ".join(f"{rate:.0e}" for rate in left_out)
    return (
        f"{scores.non_mated_pairs:,} non-mated pairs tell no threshold at a false match rate of {rates}: none is "
        "written, and the contracts continue the line through the last two points; "
        + ", and ".join(f"{rate:.0e} takes {wanted(rate)}" for rate in left_out)
    )


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
    told = warning(points, scores)
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
        **({"warning": told} if told else {}),
        "made": date.today().isoformat(),
    }
