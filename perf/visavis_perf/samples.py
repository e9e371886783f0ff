"""Requests as they went, and the figures made of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Self

import numpy as np

from visavis_perf.contracts import BUSY, OK

#: So many requests in a row tell whether a service is slow: one alone may have met another's work.
_IN_A_ROW = 5
#: A percentile is told where the slowest of its answers lies beyond the true one, so sure.
_SURE = 0.95
#: Where the generator's own delay is more of p99 than this, the figures are its own, too.
_LATE = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One request; times in seconds."""

    #: When it was due, since the start of the load.
    due_s: float
    #: How much later it left: the generator's own fault.
    late_s: float
    #: From due to answered.
    latency_s: float
    kind: str

    @property
    def answered_s(self) -> float:
        """Since the start of the load."""
        return self.due_s + self.latency_s


def needed(percent: float) -> int:
    """So many answers tell a percentile: 59 the 95th, 299 the 99th; of fewer it may lie beyond all of them."""
    return math.ceil(math.log(1 - _SURE) / math.log(percent / 100))


@dataclass(frozen=True, slots=True)
class Latencies:
    """What is told of answers' latencies: no percentile that they are too few for."""

    answers: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Of all runs with the same load together: each alone would have too few for a 99th percentile."""
        told = (
            percentile_ms(seconds, percent) if len(seconds) >= needed(percent) else None for percent in (50, 95, 99)
        )
        return cls(len(seconds), *told)

    def as_dict(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Summary:
    """A load's figures; milliseconds are NaN-free: None where nothing was to measure.

    Percentiles are of however many answers there are: a search decides by them. ``as_dict`` tells those alone that
    there are enough answers for.
    """

    rate: float
    #: Good answers a second that came while the load lasted.
    goodput: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    #: 99th percentile of the refusals.
    busy_p99_ms: float | None
    #: 99th percentile of the generator's own delay; near p99_ms, the generator is what was measured.
    late_p99_ms: float | None
    requests: int
    kinds: dict[str, int]
    #: All good answers, those before ``settle_s`` and after the end too: what the service worked for.
    good: int
    #: Mean latency of all of these.
    mean_ms: float | None = None
    #: Latencies of the good answers to requests that were due after ``settle_s``.
    good_s: tuple[float, ...] = field(default=(), repr=False)
    #: How much later than due all of these requests left.
    late_s: tuple[float, ...] = field(default=(), repr=False)

    @property
    def wrong(self) -> int:
        """Answers that are neither good nor a refusal in the contract's words."""
        return sum(count for kind, count in self.kinds.items() if kind not in {OK, BUSY})

    @property
    def busy(self) -> int:
        """Refusals in the contract's words."""
        return self.kinds.get(BUSY, 0)

    def as_dict(self) -> dict[str, Any]:
        """For the results file, but for single latencies."""
        table = asdict(self) | Latencies.of(self.good_s).as_dict()
        del table["good_s"], table["late_s"]
        return table if self.busy >= needed(99) else table | {"busy_p99_ms": None}


def percentile_ms(seconds: Sequence[float], percent: float) -> float | None:
    """Of times in seconds, in milliseconds; None without any."""
    return round(1000 * float(np.percentile(seconds, percent)), 3) if seconds else None


def pooled(summaries: Iterable[Summary]) -> list[float]:
    """Latencies of the good answers of loads that are alike, in seconds."""
    return [latency for summary in summaries for latency in summary.good_s]


def late_generator(best: Mapping[str, Any]) -> str | None:
    """Why a best load's figures are no service's: the generator was late itself. Older records do not tell."""
    part = best.get("late_of_p99")
    if part is None or part <= _LATE:
        return None
    return f"the generator itself was {best['late_p99_ms']:.0f} ms late, {100 * part:.0f} % of p99"


def summarise(samples: Sequence[Sample], *, rate: float, seconds: float, settle_s: float = 0.0) -> Summary:
    """Figures of the part of a load after ``settle_s``, while the service was still filling.

    Goodput counts answers by the time they came, latencies belong to requests by the time they were due.
    """
    counted = [sample for sample in samples if sample.due_s >= settle_s]
    good = tuple(sample.latency_s for sample in counted if sample.kind == OK)
    every = [sample.latency_s for sample in samples if sample.kind == OK]
    in_time = sum(sample.kind == OK and settle_s <= sample.answered_s <= seconds for sample in samples)
    return Summary(
        rate=rate,
        goodput=round(in_time / (seconds - settle_s), 3),
        p50_ms=percentile_ms(good, 50),
        p95_ms=percentile_ms(good, 95),
        p99_ms=percentile_ms(good, 99),
        busy_p99_ms=percentile_ms([sample.latency_s for sample in counted if sample.kind == BUSY], 99),
        late_p99_ms=percentile_ms([sample.late_s for sample in counted], 99),
        requests=len(counted),
        kinds=dict(Counter(sample.kind for sample in counted)),
        good=len(every),
        mean_ms=round(1000 * sum(every) / len(every), 4) if every else None,
        good_s=good,
        late_s=tuple(sample.late_s for sample in counted),
    )


def recovery_s(samples: Sequence[Sample], *, ordinary_ms: float) -> float:
    """Seconds after an overload's end until every request is answered well, and most of them within ``ordinary_ms``.

    ``samples`` are those of the light load that follows. Most: of any few requests in a row, for a machine that others
    use as well delays single ones at any time. Infinite when the last of them still were not answered so.
    """
    followed = sorted(samples, key=lambda sample: sample.due_s)
    refused = [sample.due_s for sample in followed if sample.kind != OK]
    slow = [
        few[-1].due_s
        for few in zip(*(followed[start:] for start in range(_IN_A_ROW)), strict=False)
        if 1000 * median(sample.latency_s for sample in few) > ordinary_ms
    ]
    if not refused and not slow:
        return 0.0
    last = max(*refused, *slow, 0.0)
    return float("inf") if last >= followed[-1].due_s else last
