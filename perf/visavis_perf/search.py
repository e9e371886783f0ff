"""The best load of a service: a coarse curve first, then some more rates where it bends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from visavis_perf.samples import Summary

#: A load whose slowest hundredth waits longer serves nobody, however many answers come out.
BEST_LOAD_P99_MS = 1000.0
#: Searched with a margin: a load at the very edge would pass it in one repeat and not in the next.
_SEARCH_P99_MS = 0.85 * BEST_LOAD_P99_MS
#: Where even the highest rate was the best, the next one is so much higher; where none served, the lowest is lowered.
_HIGHER, _LOWER = 1.15, 0.6
#: A load that is answered to this share, and of which nothing is refused, fills nobody.
_UNFILLED_SHARE = 0.97
Offer = Callable[[float], Summary]


def serves(summary: Summary, *, p99_ms: float = BEST_LOAD_P99_MS) -> bool:
    """Whether a load may count: nothing wrong, and nobody waits for long. Refusals are no fault of the rest."""
    return summary.wrong == 0 and summary.p99_ms is not None and summary.p99_ms <= p99_ms


def best_of(curve: Sequence[Summary]) -> Summary | None:
    """The point with most good answers among those that serve; of points alike, the one with the lowest rate."""
    best: Summary | None = None
    for summary in sorted(curve, key=lambda one: one.rate):
        if serves(summary, p99_ms=_SEARCH_P99_MS) and (best is None or summary.goodput > best.goodput):
            best = summary
    return best


def unfilled(summary: Summary) -> bool:
    """Whether a service had room left: every request was answered well, and in time."""
    return serves(summary) and not summary.busy and summary.goodput >= _UNFILLED_SHARE * summary.rate


def next_rate(curve: Sequence[Summary]) -> float:
    """Where to look next: the middle of the wider gap beside the best rate, or beyond the curve's end."""
    rates = sorted(summary.rate for summary in curve)
    best = best_of(curve)
    if best is None:
        return _LOWER * rates[0]
    at = rates.index(best.rate)
    if at == len(rates) - 1:
        return _HIGHER * best.rate
    right = rates[at + 1] - best.rate
    left = best.rate - rates[at - 1] if at else 0.0
    return best.rate + right / 2 if right >= left else best.rate - left / 2


def explore(offer: Offer, rates: Sequence[float], *, finer: int) -> list[Summary]:
    """Offer growing rates until two in a row do not serve, then ``finer`` more around the best.

    A service without a bound drowns beyond its capacity: what it does at still higher rates teaches nothing, and its
    queue takes long to empty. One rate alone may have met a neighbour's burst of work.
    """
    curve: list[Summary] = []
    for rate in rates:
        curve.append(offer(rate))
        if not any(map(serves, curve[-2:])) and len(curve) > 1:
            break
    for _ in range(finer):
        curve.append(offer(next_rate(curve)))
    return sorted(curve, key=lambda summary: summary.rate)
