"""The best load is found wherever it lies, and costs few rates."""

from __future__ import annotations

import pytest

from visavis_perf.contracts import BUSY, OK
from visavis_perf.plan import FULL_CURVE, SHORT_CURVE
from visavis_perf.samples import Summary
from visavis_perf.search import best_of, explore, next_rate, serves, unfilled


def _summary(rate: float, goodput: float, p99_ms: float | None = 100.0, **kinds: int) -> Summary:
    counted = kinds or {OK: 10}
    return Summary(rate, goodput, 20.0, 50.0, p99_ms, None, 0.1, 10, counted, 10)


def _refusing(capacity: float) -> list[float]:
    """Rates at which a service was asked that refuses what is too much, and the best of them."""
    asked: list[float] = []

    def offer(rate: float) -> Summary:
        asked.append(rate)
        # Refusing costs a little too, so that there is a best rate and not a plateau.
        beyond = max(0.0, rate - capacity)
        return _summary(rate, min(rate, capacity) - 0.1 * beyond, 100.0 if not beyond else 700.0, ok=9, busy=1)

    best = best_of(explore(offer, [100 * share for share in SHORT_CURVE], finer=2))
    assert best is not None
    return [best.goodput, *asked]


@pytest.mark.parametrize("capacity", [45, 50, 55, 60, 65, 70, 75, 80, 85, 90])
def test_the_best_load_does_not_hang_on_the_grid(capacity: float) -> None:
    """Within five percent of the capacity, wherever that lies between the coarse rates, for five loads."""
    best, *asked = _refusing(capacity)
    assert best == pytest.approx(capacity, rel=0.05)
    assert len(asked) == len(SHORT_CURVE) + 2


def test_a_service_that_drowns_is_not_pushed_further() -> None:
    """Two rates in a row that it does not serve end the curve; the search goes on below them."""
    asked: list[float] = []

    def offer(rate: float) -> Summary:
        asked.append(rate)
        return _summary(rate, min(rate, 30.0), 100.0 if rate <= 30 else 5000.0)

    curve = explore(offer, [100 * share for share in FULL_CURVE], finer=2)
    assert asked[:3] == pytest.approx([20, 40, 55])
    assert max(asked) < 60
    best = best_of(curve)
    assert best is not None
    assert best.rate == pytest.approx(30)


def test_one_disturbed_rate_does_not_end_the_curve() -> None:
    """A neighbour's burst of work during one load is no capacity."""

    def offer(rate: float) -> Summary:
        return _summary(rate, rate, 3000.0 if 50 < rate < 60 else 100.0)

    best = best_of(explore(offer, [100 * share for share in FULL_CURVE], finer=0))
    assert best is not None
    assert best.rate == pytest.approx(100)


def test_refusals_are_allowed_at_a_best_load_and_errors_are_not() -> None:
    """A client that is told to come again has lost nothing; one that gets a 500 or waits for seconds has."""
    refusing = _summary(60, 50, **{OK: 50, BUSY: 10})
    assert best_of([_summary(40, 40), refusing]) is refusing
    assert not serves(_summary(60, 50, **{OK: 59, "500": 1}))
    assert not serves(_summary(60, 50, 1001.0))
    assert not serves(_summary(60, 0, None, **{BUSY: 60}))


def test_a_load_at_the_very_edge_is_not_chosen() -> None:
    """In its repeats it would be over the edge half the time."""
    calm = _summary(40, 40)
    assert best_of([calm, _summary(45, 45, 990.0)]) is calm


def test_where_nothing_serves_less_is_offered() -> None:
    """A machine far slower than its limit promised is searched from below."""
    assert next_rate([_summary(50, 20, 4000.0), _summary(65, 20, 5000.0)]) == pytest.approx(30)
    assert next_rate([_summary(50, 50), _summary(65, 65)]) > 65


@pytest.mark.parametrize(
    ("goodput", "p99_ms", "kinds", "room"),
    [
        (50, 100, {"ok": 9}, True),
        (49, 700, {"ok": 9}, True),
        (45, 100, {"ok": 9}, False),
        (50, 1100, {"ok": 9}, False),
        (50, 100, {"ok": 9, "busy": 1}, False),
        (50, 100, {"ok": 9, "fault": 1}, False),
    ],
)
def test_a_load_of_which_nothing_is_refused_leaves_room(
    goodput: float, p99_ms: float, kinds: dict[str, int], room: bool
) -> None:
    assert unfilled(_summary(50, goodput, p99_ms, **kinds)) is room
