"""What the steps of one bench hand to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visavis_perf.brackets import Bracketed, Result, bracketed
from visavis_perf.limit import Limits
from visavis_perf.plan import Plan
from visavis_perf.schedule import Costs, Pace


@dataclass(slots=True)
class Run:
    """One bench: what is asked for, and what is known so far."""

    plan: Plan
    #: Directory of portraits, or None for the research photographs and their stand-ins.
    source: Path | None
    #: JPEG files, by set.
    pictures: Mapping[str, Sequence[bytes]]
    limits: Limits
    pace: Pace
    #: Everything that goes into the results file.
    record: dict[str, Any] = field(default_factory=dict)

    def beside_limit(
        self,
        pictures: str,
        run: Callable[[float], Result],
        rate: Callable[[Result], float],
        *,
        run_s: float,
        wanted: int | None = None,
        pictures_per_request: int = 1,
        then_s: float = 0.0,
    ) -> Bracketed[Result]:
        """Repeat a run between bursts of the limit with a set of pictures.

        ``run`` is told the limit now, in requests a second, as ``rate`` is. ``run_s`` is what a run takes, and
        ``then_s`` what the step still does afterwards: neither is given away to repeats.
        """
        return bracketed(
            lambda: self.limits.burst(pictures) / pictures_per_request,
            run,
            rate,
            wanted=self.plan.repeats if wanted is None else wanted,
            may_repeat=lambda: self.pace.allows(run_s + Costs(self.plan).burst, then_s=then_s),
        )
