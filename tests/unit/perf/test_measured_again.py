"""What came out worse is measured again before a check calls it a regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from visavis_perf.check import AGAIN, Checked, again_where_worse, once

_BEFORE = 0.8


def _record(*, peer: bool = False, **shares: float | None) -> dict[str, Any]:
    """JD Cloud's and Face++'s shares; None is a load that is not served, a negative one unsteady."""
    http: dict[str, Any] = {}
    for name, share in shares.items():
        if share is None:
            http[f"{name}-250"] = {"best": None}
        else:
            best = {"share": abs(share), "spread": 0.01, "steady": share > 0, "serves": True}
            http[f"{name}-250"] = {"best": best}
    return {"http": http} | ({"peer": {"best": None}} if peer else {})


class _Measuring:
    """Measures again what was written down beforehand."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self._records = records
        self.asked: list[list[str]] = []
        self.said: list[str] = []

    def again(self, steps: Sequence[str], turn: int) -> dict[str, Any]:
        self.asked.append(list(steps))
        assert turn == len(self.asked)
        return self._records[turn - 1]


def _check(
    first: dict[str, Any], *again: dict[str, Any], before: dict[str, Any] | None = None
) -> tuple[Checked, _Measuring]:
    made = _Measuring(*again)
    before = before or _record(jdcloud=_BEFORE, facepp=_BEFORE)
    found = again_where_worse(before, first, made.again, made.said.append)
    assert len(found.records) == 1 + len(made.asked) <= 1 + AGAIN
    return found, made


def _verdict(found: Checked, name: str = "jdcloud-250 of limit") -> bool | None:
    return {change.name: change.worse for change in found.changes}[name]


def test_what_is_not_worse_is_measured_once() -> None:
    """Nor is what is unsteady."""
    for share in (0.81, 0.77, -0.5):
        found, made = _check(_record(jdcloud=share))
        assert not found.worse
        assert (made.asked, made.said) == ([], [])


def test_the_mean_of_two_may_be_as_good_as_before() -> None:
    """A false alarm of one bench ends with the second measurement; only the step that is worse is measured."""
    found, made = _check(_record(jdcloud=0.69, facepp=0.8), _record(jdcloud=0.82))
    assert made.asked == [["jdcloud"]]
    assert made.said == ["jdcloud-250 of limit came out worse; measured again (1 of 2)"]
    assert (_verdict(found), _verdict(found, "facepp-250 of limit")) == (False, False)
    assert found.changes[0].now == pytest.approx(0.755)


def test_the_median_of_three_decides_at_last() -> None:
    """The third may excuse it, or not."""
    first, second = _record(jdcloud=0.6), _record(jdcloud=0.72)
    found, made = _check(first, second, _record(jdcloud=0.81))
    assert made.asked == [["jdcloud"]] * 2
    assert made.said[1] == "jdcloud-250 of limit came out worse; measured again (2 of 2)"
    assert (found.worse, found.changes[0].now) == ([], 0.72)
    found, _ = _check(first, _record(jdcloud=0.65), _record(jdcloud=0.74))
    assert (found.worse, found.changes[0].now) == (["jdcloud-250 of limit"], 0.65)


def test_only_what_is_still_worse_is_measured_a_third_time() -> None:
    """Two were worse, one of them once."""
    first, second = _record(jdcloud=0.6, facepp=0.6), _record(jdcloud=0.85, facepp=0.62)
    found, made = _check(first, second, _record(facepp=0.61))
    assert made.asked == [["facepp", "jdcloud"], ["facepp"]]
    assert found.worse == ["facepp-250 of limit"]


def test_an_unsteady_second_measurement_does_not_count() -> None:
    """So there is a third; and where that one is unsteady as well, there is no verdict."""
    first, unsteady = _record(jdcloud=0.6), _record(jdcloud=-0.9)
    found, made = _check(first, unsteady, _record(jdcloud=0.62))
    assert (len(made.asked), found.worse) == (2, ["jdcloud-250 of limit"])
    assert found.changes[0].now == pytest.approx(0.61)
    found, made = _check(first, unsteady, unsteady)
    assert (len(made.asked), found.worse, _verdict(found)) == (2, [], None)


def test_what_was_measured_along_counts_too_and_needs_a_second_measurement() -> None:
    """Face++ was unsteady at first, and came out worse where JD Cloud was looked at: that alone is no regression."""
    first = _record(jdcloud=0.6, facepp=-0.8)
    found, made = _check(first, _record(jdcloud=0.85, facepp=0.6), _record(facepp=-0.6))
    assert made.asked == [["jdcloud"], ["facepp"]]
    assert _verdict(found, "facepp-250 of limit") is None
    found, _ = _check(first, _record(jdcloud=0.85, facepp=0.6), _record(facepp=0.62))
    assert found.worse == ["facepp-250 of limit"]


def test_a_load_that_is_not_served_is_measured_again() -> None:
    """Once is an accident, twice is worse."""
    found, made = _check(_record(jdcloud=None), _record(jdcloud=0.8))
    assert (len(made.asked), found.worse) == (1, [])
    found, _ = _check(_record(jdcloud=None), _record(jdcloud=None), _record(jdcloud=0.8))
    assert (found.worse, found.changes[0].now) == (["jdcloud-250 of limit"], 0.0)


def test_a_figure_that_is_missing_is_measured_again() -> None:
    """The peer answered nobody: with it Face++ is measured, for that is what it is compared with."""
    served = {"share": 0.3, "spread": 0.01, "steady": True, "serves": True}
    there = _record(facepp=0.8) | {"peer": {"best": served}}
    missing = _record(facepp=0.8, peer=True)
    found, made = _check(missing, there, there, before=there)
    assert made.asked == [["peer"], ["peer"]]
    assert found.worse == []
    assert {change.name: len(change.measured) for change in found.changes} == {
        **{"facepp-250 of limit": 3, "throughput of peer's": 3}
    }
    found, made = _check(missing, missing, missing, before=there)
    assert (found.worse, found.changes[1].now) == (["throughput of peer's"], None)


def test_a_record_by_itself_is_judged_as_it_is() -> None:
    """Where nothing can be measured again, one measurement decides."""
    found = once(_record(jdcloud=_BEFORE), _record(jdcloud=0.7))
    assert found.worse == ["jdcloud-250 of limit"]
    assert once(_record(jdcloud=_BEFORE), _record(jdcloud=0.75)).worse == []
