"""How much a run measures, and what the steps hand to one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visavis_perf.limit import Limit
from visavis_perf.perf_analyzer import Effort
from visavis_perf.pictures import pictures

#: The sets that the targets are stated for.
TARGET_SETS = ("250", "1mp")


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations and repetitions."""

    quick: bool
    limit_seconds: float
    limit_runs: int
    effort: Effort
    http_seconds: float
    #: Runs at the best load, of which the median counts.
    repeats: int
    idle_requests: int
    overload_seconds: float

    @classmethod
    def full(cls) -> Plan:
        """Under 20 minutes on two cores."""
        return cls(False, 6.0, 3, Effort(window_ms=2000), 8.0, 3, 100, 120.0)

    @classmethod
    def short(cls) -> Plan:
        """Some minutes: to see whether everything runs, and for ratios with more noise."""
        return cls(True, 2.0, 1, Effort(window_ms=1000), 4.0, 1, 30, 15.0)


@dataclass(slots=True)
class Run:
    """One bench: what is asked for, and what is known so far."""

    plan: Plan
    #: Directory of portraits, or None for the research photographs and their stand-ins.
    source: Path | None
    limits: dict[str, Limit] = field(default_factory=dict)
    #: Everything that goes into the results file.
    record: dict[str, Any] = field(default_factory=dict)
    #: Kept between steps, so that a set is read once.
    _sets: dict[str, list[bytes]] = field(default_factory=dict)

    def pictures(self, name: str) -> list[bytes]:
        """The JPEG files of a set."""
        if name not in self._sets:
            self._sets[name] = pictures(name, self.source)
        return self._sets[name]

    def compares_limit(self, name: str, pictures_per_request: int = 2) -> float:
        """Requests a second that the limit allows."""
        return self.limits[name].images_per_s / pictures_per_request
