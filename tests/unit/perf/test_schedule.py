"""A bench knows how long it takes, and does not take longer."""

from __future__ import annotations

from visavis_perf.bench import Choice, choose, steps
from visavis_perf.plan import Plan
from visavis_perf.schedule import BUDGET_S, Expected, Pace, expected, minutes


def _total_s(choice: Choice, plan: Plan) -> float:
    """With three runtimes to try, as on an x86 processor with bfloat16 units."""
    planned = expected(
        plan, runtimes=3, sets=len(choice.sets), http=choice.http, other=choice.other, scenarios=choice.scenarios
    )
    return sum(step.seconds for step in planned)


def test_a_whole_bench_takes_less_than_twenty_minutes() -> None:
    """With everything that a target is judged by, and more than a minute left to repeat what was disturbed."""
    choice = choose((), extended=False, gpu=False)
    assert {scenario.name for scenario in choice.scenarios} >= {"ensemble", "ensemble-1mp"}
    assert {name for name, _ in choice.http} == {"facepp", "jdcloud", "aliyun"}
    assert choice.other == {"start", "idle", "peer", "overload"}
    assert _total_s(choice, Plan.full()) < BUDGET_S - 65


def test_a_quick_bench_takes_half_of_that() -> None:
    """The same steps with shorter loads: ten minutes, as the page says."""
    assert _total_s(choose((), extended=False, gpu=False), Plan.short()) < 600


def test_extended_adds_what_no_target_is_judged_by() -> None:
    """Every step that `visavis bench steps` lists, but those that want a card."""
    choice = choose((), extended=True, gpu=False)
    ran = {scenario.name for scenario in choice.scenarios} | {name for name, _ in choice.http} | choice.other
    assert ran | set(choice.left_out) == set(steps())
    assert all("cuda" in name for name in choice.left_out)
    assert choice.complete
    assert not choose((), extended=True, gpu=True).left_out


def test_without_perf_analyzer_the_other_steps_are_run_and_the_bench_is_not_whole() -> None:
    """Target 1 is told as not measured, and why; the page that is committed stays."""
    choice = choose((), extended=False, gpu=False, perf_analyzer=False)
    assert not choice.scenarios
    assert {name for name, why in choice.left_out.items() if "perf_analyzer" in why} == {"ensemble", "ensemble-1mp"}
    assert not choice.complete
    assert choice.http == choose((), extended=False, gpu=False).http


def test_a_step_by_name_is_run_though_it_is_extended() -> None:
    """Whoever names it means it; nothing else is run."""
    choice = choose(("aws", "detector"), extended=False, gpu=False)
    assert choice.http == (("aws", "250"),)
    assert [scenario.name for scenario in choice.scenarios] == ["detector"]
    assert choice.other == frozenset()


def test_a_step_brings_what_it_is_compared_with() -> None:
    """An overload is three times Face++'s best load, and the peer's throughput a part of it."""
    for name in ("overload", "peer"):
        assert choose((name,), extended=False, gpu=False).http == (("facepp", "250"),)


def test_time_left_shrinks_while_a_step_runs_and_never_below_the_rest() -> None:
    """A step that takes longer than planned takes nothing from those to come."""
    at = [0.0]
    pace = Pace([Expected("one", 10), Expected("two", 20)], clock=lambda: at[0])
    assert pace.remaining_s == 30
    pace.begin("one")
    at[0] = 4
    assert (pace.elapsed_s, pace.remaining_s) == (4, 26)
    at[0] = 15
    assert pace.remaining_s == 20
    pace.begin("two")
    at[0] = 16
    assert pace.remaining_s == 19


def test_repeats_are_allowed_while_the_rest_still_fits() -> None:
    """The budget is for all that is planned first, and a fiftieth more, for no step takes just what is planned."""
    at = [0.0]
    pace = Pace([Expected("one", 60), Expected("two", 30)], 100, clock=lambda: at[0])
    pace.begin("one")
    assert pace.allows(8)
    assert not pace.allows(9)
    at[0] = 65
    assert not pace.allows(6)


def test_minutes_are_read_at_a_glance() -> None:
    """Seconds have two digits."""
    assert [minutes(each) for each in (9, 61.9, 1200)] == ["0:09", "1:01", "20:00"]
