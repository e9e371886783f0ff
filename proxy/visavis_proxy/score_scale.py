"""From comparison scores to a vendor's own scale: thresholds hard-coded by a client keep their false match rate.

A scale is a monotone, continuous curve through anchors: the comparison threshold at a false match rate and the value
that the vendor's document prints beside the same rate.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visavis_client.comparison import ComparisonScore
from visavis_client.faces import ModelIdentity


class OperatingPointsInvalid(Exception):
    """The table cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold travels with its evidence."""

    false_match_rate: float
    threshold: float
    interval: tuple[float, float] | None = None
    extrapolated: bool = False


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Thresholds of one embedder, by false match rate."""

    points: tuple[OperatingPoint, ...]
    model: ModelIdentity
    #: Where the numbers come from, for people.
    evidence: str

    def __post_init__(self) -> None:
        ordered = sorted(self.points, key=lambda p: -p.false_match_rate)
        if len(ordered) < 2 or any(not -1 < p.threshold < 1 for p in ordered):
            raise OperatingPointsInvalid("at least two operating points, thresholds between -1 and 1")
        if any(a.threshold >= b.threshold for a, b in itertools.pairwise(ordered)):
            raise OperatingPointsInvalid("a lower false match rate needs a higher threshold")
        object.__setattr__(self, "points", tuple(ordered))

    def threshold(self, false_match_rate: float) -> float:
        """The comparison score at which that share of non-mated pairs matches.

        Between points it is interpolated over the logarithm of the rate; outside them, continued.
        """
        rates = [-math.log10(p.false_match_rate) for p in self.points]
        wanted = -math.log10(false_match_rate)
        at = min(max(bisect.bisect_left(rates, wanted), 1), len(rates) - 1)
        low, high = self.points[at - 1], self.points[at]
        slope = (high.threshold - low.threshold) / (rates[at] - rates[at - 1])
        return low.threshold + slope * (wanted - rates[at - 1])

    @classmethod
    def load(cls, path: Path, model: ModelIdentity) -> OperatingPoints:
        """Read ``operating_points.json``; a table of another model is refused.

        Raises:
            OperatingPointsInvalid: missing, malformed, or of another model.
        """
        try:
            table = json.loads(path.read_text("utf-8"))
            points = tuple(
                OperatingPoint(
                    float(entry["false_match_rate"]),
                    float(entry["threshold"]),
                    tuple(entry["interval"]) if entry.get("interval") else None,
                    bool(entry.get("extrapolated", False)),
                )
                for entry in table["operating_points"]
            )
            identity = table["models"]["identity"]
            evidence = str(table.get("evidence", table.get("data", "")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OperatingPointsInvalid(f"{path}: {error!r}") from error
        if identity != model:
            raise OperatingPointsInvalid(
                f"{path} was calibrated for {identity}, but {model} is loaded: "
                "run `visavis calibrate`, or export the pack again"
            )
        return cls(points, model, evidence)


class ScoreScale:
    """A vendor's scale: piecewise linear through its anchors, from its bottom (-1) to its top (1)."""

    def __init__(self, points: OperatingPoints, values: Mapping[float, float], *, bottom: float, top: float) -> None:
        """``values``: what the vendor's document prints, by false match rate."""
        anchors = sorted((points.threshold(rate), value) for rate, value in values.items())
        self._scores = [-1.0, *(score for score, _ in anchors), 1.0]
        self._values = [bottom, *(value for _, value in anchors), top]
        for row in (self._scores, self._values):
            if any(a >= b for a, b in itertools.pairwise(row)):
                raise OperatingPointsInvalid("a score scale rises strictly from anchor to anchor")

    def __call__(self, score: ComparisonScore) -> float:
        """The vendor's number for a comparison score."""
        at = min(max(bisect.bisect_right(self._scores, score.value), 1), len(self._scores) - 1)
        low, high = self._scores[at - 1], self._scores[at]
        share = (score.value - low) / (high - low)
        return self._values[at - 1] + share * (self._values[at] - self._values[at - 1])
