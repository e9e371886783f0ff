"""Measuring against a yardstick on a machine whose speed swings: the yardstick right before and right after.

The pattern is yardstick, run, yardstick, run, yardstick …: a run's share is its rate over the mean of its two
neighbours. Where these two disagree, or the host took more of the cores during one of the three, the machine moved, and
the run is made again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Generic, TypeVar

from visavis_perf.steal import MUCH, StealMeter

#: Neighbours that lie further apart, as a part of their mean, say that the machine moved between them.
AGREE_WITHIN = 0.15
#: So many runs more than planned, at most, where neighbours disagree.
EXTRA_RUNS = 3
#: A figure with fewer agreeing runs than this part of those planned is no evidence.
_ENOUGH = 2 / 3
#: From so many runs on, the middle half tells how far they lie apart: the extremes grow with their number.
_MANY = 5

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Repeat(Generic[Result]):
    """One run between its neighbours; rate and yardstick are in the same unit."""

    result: Result
    rate: float
    before: float
    after: float
    #: The part of the cores' time that others had during the run, and the mean of that during its neighbours.
    stolen: float = 0.0
    stolen_beside: float = 0.0

    @property
    def yardstick(self) -> float:
        """Mean of both neighbours."""
        return (self.before + self.after) / 2

    @property
    def share(self) -> float:
        """Of the yardstick."""
        return self.rate / self.yardstick

    @property
    def steady(self) -> bool:
        """Whether the neighbours agree, and as much of the cores was there for the run as for them."""
        neighbours_agree = abs(self.after - self.before) <= AGREE_WITHIN * self.yardstick
        return neighbours_agree and abs(self.stolen - self.stolen_beside) <= MUCH


@dataclass(frozen=True, slots=True)
class Bracketed(Generic[Result]):
    """All runs of one measurement."""

    runs: tuple[Repeat[Result], ...]
    #: How many with agreeing neighbours were planned.
    wanted: int

    @property
    def steady(self) -> bool:
        """Whether there can be a verdict: enough runs had agreeing neighbours, and these runs agree as well."""
        return self._agreeing >= math.ceil(_ENOUGH * self.wanted) and self._close

    @property
    def settled(self) -> bool:
        """Whether no further run is wanted: a disturbance shorter than a run shows in no neighbour."""
        return self._agreeing >= self.wanted and self._close

    @property
    def counted(self) -> list[Repeat[Result]]:
        """Runs with agreeing neighbours; all of them where those are too few."""
        enough = self._agreeing >= math.ceil(_ENOUGH * self.wanted)
        return [run for run in self.runs if run.steady] if enough else list(self.runs)

    @property
    def _agreeing(self) -> int:
        return sum(run.steady for run in self.runs)

    @property
    def _close(self) -> bool:
        return self.spread <= AGREE_WITHIN * self.share

    @property
    def share(self) -> float:
        """Median of the runs that count."""
        return median(run.share for run in self.counted)

    @property
    def spread(self) -> float:
        """Largest less smallest share of the runs that count; of many, the range of the middle half."""
        shares = [run.share for run in self.counted]
        if len(shares) >= _MANY:
            lower, _, upper = quantiles(shares, n=4)
            return upper - lower
        return max(shares) - min(shares)

    def median_of(self, read: Callable[[Repeat[Result]], float | None]) -> float | None:
        """Of something in the runs that count; None where none of them has it."""
        found = [value for run in self.counted if (value := read(run)) is not None]
        return median(found) if found else None

    def as_dict(self) -> dict[str, Any]:
        """For the results file: every run, whether it counts or not."""
        return {
            "share": round(self.share, 4),
            "spread": round(self.spread, 4),
            "steady": self.steady,
            "stolen": round(max(run.stolen for run in self.runs), 4),
            "runs": [
                {
                    "rate": round(run.rate, 3),
                    "before": round(run.before, 3),
                    "after": round(run.after, 3),
                    "share": round(run.share, 4),
                    "stolen": round(run.stolen, 4),
                    "steady": run.steady,
                }
                for run in self.runs
            ],
        }


def bracketed(
    yardstick: Callable[[], float],
    run: Callable[[float], Result],
    rate: Callable[[Result], float],
    *,
    wanted: int,
    may_repeat: Callable[[], bool],
    stolen: Callable[[], float] | None = None,
) -> Bracketed[Result]:
    """Run until ``wanted`` runs have neighbours that agree, and more while their shares lie apart and more is allowed.

    ``run`` is told the yardstick before it; ``may_repeat`` says whether there is time for one run more than planned;
    ``stolen`` is the part of the cores' time that others had since it was last asked.
    """
    found: Bracketed[Result] = Bracketed((), wanted)
    stolen = stolen or StealMeter().share
    before, stolen_before = yardstick(), stolen()
    while not found.settled:
        extra = len(found.runs) - wanted
        if extra >= 0 and (extra >= EXTRA_RUNS or not may_repeat()):
            break
        result, stolen_meanwhile = run(before), stolen()
        after, stolen_after = yardstick(), stolen()
        repeat = Repeat(result, rate(result), before, after, stolen_meanwhile, (stolen_before + stolen_after) / 2)
        found = Bracketed((*found.runs, repeat), wanted)
        before, stolen_before = after, stolen_after
    return found
