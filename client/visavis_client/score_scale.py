"""From comparison scores to a vendor's own scale: thresholds hard-coded by a client keep their false match rate.

A scale is a monotone, continuous curve through anchors: the comparison threshold at a false match rate and the value
that the vendor's document prints beside the same rate.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from visavis_client.comparison import ComparisonScore
from visavis_client.operating_points import OperatingPoints, OperatingPointsInvalid


@dataclass(frozen=True, slots=True)
class PrintedScale:
    """What a vendor's document says of its scale."""

    #: The thresholds it prints, by false match rate, in its own order.
    thresholds: Mapping[float, float]
    bottom: float
    top: float
    #: Digits behind the point that its answers have.
    decimals: int

    def __post_init__(self) -> None:
        rising = [self.bottom, *(self.thresholds[rate] for rate in sorted(self.thresholds, reverse=True)), self.top]
        if any(a >= b for a, b in itertools.pairwise(rising)):
            raise ValueError(f"printed thresholds rise from bottom to top as the rate falls, not {rising}")
        if any(round(value, self.decimals) != value for value in rising):
            raise ValueError(f"not every one of {rising} can be answered with {self.decimals} decimals")
        object.__setattr__(self, "thresholds", MappingProxyType(dict(self.thresholds)))


class ScoreScale:
    """A vendor's scale: piecewise linear through its anchors, from its bottom (-1) to its top (1).

    Values come rounded to the vendor's decimals, for rounding decides too: where answers have two decimals, rounding
    to the nearest would lift every score within half a hundredth of a printed threshold onto it, and with them the
    false match rate by half. So a value is rounded to the nearest, but never up to a threshold that its score does
    not reach: a value is at least a printed threshold exactly where the score is at least the operating point's.
    """

    def __init__(self, points: OperatingPoints, printed: PrintedScale) -> None:
        """Raises OperatingPointsInvalid where the points, continued to the printed rates, leave (-1, 1)."""
        rates = sorted(printed.thresholds, reverse=True)
        self._per_one: int = 10**printed.decimals
        self._scores = [-1.0, *(points.threshold(rate) for rate in rates), 1.0]
        values = [printed.bottom, *(printed.thresholds[rate] for rate in rates), printed.top]
        #: In whole steps of the last decimal, so that no sum of fractions stands between a score and its threshold.
        self._steps: list[int] = [round(value * self._per_one) for value in values]
        if any(a >= b for a, b in itertools.pairwise(self._scores)):
            raise OperatingPointsInvalid(
                f"thresholds at {', '.join(f'{rate:g}' for rate in rates)} must rise between -1 and 1: "
                f"{self._scores[1:-1]}"
            )

    def __call__(self, score: ComparisonScore) -> float:
        """The vendor's number for a comparison score, with the vendor's decimals."""
        last = len(self._scores) - 1
        at = min(bisect.bisect_right(self._scores, score.value), last)
        low, high = self._scores[at - 1], self._scores[at]
        begin, end = self._steps[at - 1], self._steps[at]
        steps = round(begin + (score.value - low) / (high - low) * (end - begin))
        # The top is no threshold: two pictures that are alike but for a rounding error may reach it.
        return min(steps, end if at == last else end - 1) / self._per_one
