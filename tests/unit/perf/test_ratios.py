"""Ratios, targets and the regression check, on made-up results."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from visavis_perf import bench, results
from visavis_perf.ratios import Ratio, compare, peer_throughput, ratios, without_figure
from visavis_perf.report import table, write_report
from visavis_perf.results import NoResults
from visavis_perf.targets import targets


def _best(goodput: float, limit: float, p99_ms: float = 80.0) -> dict[str, Any]:
    share = goodput / limit
    run = {"rate": goodput, "before": limit, "after": limit, "share": share, "steady": True}
    return {
        **{"share": share, "spread": 0.02, "steady": True, "runs": [run] * 3},
        **{"offered": share, "rate": goodput, "goodput": goodput, "images_per_s": goodput, "value": "8"},
        **{"p50_ms": 20.0, "p99_ms": p99_ms, "wrong": 0, "serves": True},
    }


def _curve(goodput: float, limit: float, p99_ms: float = 80.0) -> dict[str, Any]:
    point = {"rate": goodput, "goodput": goodput, "p50_ms": 20.0, "p99_ms": p99_ms, "kinds": {"ok": 10}}
    return {"pictures": "250", "limit_per_s": limit, "curve": [point], "best": _best(goodput, limit, p99_ms)}


@pytest.fixture
def record() -> dict[str, Any]:
    limit = {
        "runtime": "openvino bfloat16",
        **{"images_per_s": 200.0, "slowest": 180.0, "fastest": 210.0, "bursts": [180.0, 200.0, 210.0]},
        "tried": {"onnxruntime float32": 130.0},
        "unable": {"openvino float32": "openvino float32 cannot run these graphs: no such operator"},
        "core_ms": {"decode": 0.25, "detect": 5.0, "embed": 6.0},
    }
    point = {"value": "8", "images_per_s": 170.0, "p50_ms": 40.0, "p99_ms": 60.0, "windows": [165.0, 170.0, 175.0]}
    stages = {"8": {"face_detector": {"total": 5.0, "queue": 1.0}, "face_analysis": {"total": 9.0, "between": 4.0}}}
    ensemble = {"model": "face_analysis", "pictures": "250", "sweep": "--concurrency-range", "faults": []}
    core_ms = {"face_detector": 6.5, "face_embedder": 7.5, "triton": 1.0, "proxy": 0.5, "generator": 2.25}
    idle = {"spread": 0.02, "steady": True}
    turns = {"theirs_s": [0.1] * 150, "spread": 0.05, "steady": True, "offered": 0.3, "times": 2.0}
    return {
        "made": "2026-01-01T00:00:00Z",
        "revision": "abc",
        "whole": True,
        "elapsed_s": 1000,
        "machine": {"processor": "p", "cores": 2, "units": ["avx2"], "memory_gib": 8, "gpu": []},
        "versions": {"python": "3.11"},
        "limits": {"250": limit},
        "scenarios": {
            "ensemble": {**ensemble, "limit_per_s": 200.0, "points": [point], "stages": stages, "core_ms": core_ms}
            | {"best": _best(170.0, 200.0)}
        },
        "http": {"facepp-250": _curve(75.0, 100.0)},
        "peer": _curve(30.0, 100.0, 100.0),
        "beside_peer": {**turns, "ours_s": [0.04] * 300, "answered": 1.0},
        "twice_the_peer": {**turns, "ours_s": [0.09] * 300, "answered": 0.99},
        "idle": {"contracts": {"aws": {"share": 1.2, **idle}, "facepp": {"share": 1.4, **idle}}},
        "overload": {
            **{"goodput_of_peak": 0.95, "steady": True, "peak_steady": True, "spread": 0.0},
            **{"busy_p99_ms": 12.0, "refused": 1000, "wrong": 0, "recovery_s": 1.0},
        },
        "start": {"second_s": 6.0},
    }


def test_every_target_stands_beside_its_result(record: dict[str, Any]) -> None:
    """What was measured is met or not; what was not measured is neither."""
    record["targets"] = [target.as_dict() for target in targets(record)]
    verdicts = {row["what"]: row["met"] for row in record["targets"]}
    assert verdicts["ensemble, 250×250, images/s of the limit"] is True
    assert verdicts["ensemble, 1 megapixel, images/s of the limit"] is None
    assert verdicts["idle service, p50 of one picture (AWS), of the bare time"] is True
    assert verdicts["idle service, p50 of a comparison (Face++), of the bare time"] is False
    assert verdicts["p99 over the peer's, both at the peer's best load"] is True
    assert {row["number"] for row in record["targets"]} == set("123456")


def test_a_share_above_the_limit_is_no_success(record: dict[str, Any]) -> None:
    """Nothing beats the limit: whoever seems to was measured beside a limit that something else disturbed."""
    record["scenarios"]["ensemble"]["best"]["share"] = 1.29
    found = targets(record)[0]
    assert found.met is None
    assert "not valid" in found.got


def test_one_wrong_answer_under_overload_misses_the_target(record: dict[str, Any]) -> None:
    """The target says: no error of any other kind."""
    record["overload"]["wrong"] = 1
    assert [target.met for target in targets(record) if "any other kind" in target.what] == [False]


def test_the_peer_is_compared_at_its_own_best_load(record: dict[str, Any]) -> None:
    """75 over 30; nothing where the peer served nothing."""
    assert peer_throughput(record) == 2.5
    record["peer"]["best"] = None
    assert peer_throughput(record) is None
    assert "throughput of peer's" not in {ratio.name for ratio in ratios(record)}


def test_a_peer_that_answers_nobody_in_its_repeats_does_not_end_the_bench(record: dict[str, Any]) -> None:
    """It has a best load by the search, and then no good answer at it: nothing to compare with."""
    record["peer"]["best"] |= {"share": 0.0, "goodput": 0.0, "p99_ms": None, "serves": False}
    got = {target.what: target.got for target in targets(record)}
    assert got["throughput of the peer's"] == "the peer served no load"
    assert "throughput of peer's" not in {ratio.name for ratio in ratios(record)}


_TIMES_THE_PEER = "throughput of the peer's"


def test_wrong_answers_meet_no_target_beside_the_peer(record: dict[str, Any]) -> None:
    """A load with one wrong answer is not served, however many good ones there were."""
    now = deepcopy(record)
    now["http"]["facepp-250"]["best"] |= {"wrong": 1, "serves": False}
    assert peer_throughput(now) == 0.0
    rows = {target.what: target for target in targets(now)}
    assert (rows[_TIMES_THE_PEER].met, rows[_TIMES_THE_PEER].got) == (False, "no load was served")
    worse = {change.name for change in compare(ratios(record), ratios(now)) if change.worse}
    assert worse == {"facepp-250 of limit", "throughput of peer's"}


def test_a_peer_that_does_not_serve_its_own_load_is_no_measure(record: dict[str, Any]) -> None:
    """Twice as much as a broken peer is no success."""
    record["peer"]["best"]["serves"] = False
    rows = {target.what: target for target in targets(record)}
    assert (rows[_TIMES_THE_PEER].met, rows[_TIMES_THE_PEER].got) == (None, "the peer served no load")


@pytest.mark.parametrize("best", [None, {"share": 0.0, "serves": False}])
def test_a_peer_that_answers_nobody_any_more_fails_the_check(record: dict[str, Any], best: object) -> None:
    """Nothing can be divided, and that is not a reason to pass."""
    now = deepcopy(record)
    now["peer"]["best"] = best
    changes = {change.name: change for change in compare(ratios(record), ratios(now) + without_figure(now))}
    assert (changes["throughput of peer's"].now, changes["throughput of peer's"].worse) == (None, True)
    del now["peer"]
    assert not without_figure(now)


@pytest.mark.parametrize("fault", [{"wrong": 2}, {"answered": 0.5}])
def test_quick_answers_beside_wrong_or_refused_ones_are_no_times(record: dict[str, Any], fault: dict[str, Any]) -> None:
    """In the step in which both take turns: the target is missed, the ratio has no figure."""
    now = deepcopy(record)
    now["beside_peer"] |= fault
    what = "p99 over the peer's, both at the peer's best load"
    assert [target.met for target in targets(now) if target.what == what] == [False]
    changes = {change.name: change for change in compare(ratios(record), ratios(now) + without_figure(now))}
    assert changes["p95 of peer's"].worse
    assert not without_figure(record)


def test_twice_the_peers_load_is_missed_where_it_is_not_served(record: dict[str, Any]) -> None:
    """Quick answers to some and refusals to the others are no service at that load."""
    what = "p99 over the peer's at its best load, the service at twice that"
    assert [target.met for target in targets(record) if target.what == what] == [True]
    record["twice_the_peer"]["answered"] = 0.9
    assert [(target.met, target.got) for target in targets(record) if target.what == what] == [(False, "90% answered")]


def test_the_same_results_are_no_regression(record: dict[str, Any]) -> None:
    """Every ratio is compared, none is worse."""
    changes = compare(ratios(record), ratios(deepcopy(record)))
    assert len(changes) == len(ratios(record)) > 4
    assert not any(change.worse for change in changes)


def test_a_loss_beyond_noise_is_a_regression_in_either_direction(record: dict[str, Any]) -> None:
    """Less throughput and more idle latency are both worse; more throughput is not."""
    now = deepcopy(record)
    now["http"]["facepp-250"]["best"]["share"] *= 0.8
    now["scenarios"]["ensemble"]["best"]["share"] *= 1.2
    now["idle"]["contracts"]["aws"]["share"] *= 1.5
    worse = {change.name for change in compare(ratios(record), ratios(now)) if change.worse}
    assert worse == {"facepp-250 of limit", "throughput of peer's", "idle aws of bare"}


def test_every_ratio_names_a_step_that_measures_it(record: dict[str, Any]) -> None:
    """By which it can be measured again; a figure that is missing has the step that should have given it."""
    steps = {ratio.name: ratio.step for ratio in ratios(record)}
    assert steps == {
        **{"ensemble of limit": "ensemble", "facepp-250 of limit": "facepp"},
        **{"idle aws of bare": "idle", "idle facepp of bare": "idle"},
        **{"throughput of peer's": "peer", "p95 of peer's": "peer", "overload goodput of peak": "overload"},
    }
    record["peer"]["best"] = None
    record["beside_peer"]["wrong"] = 1
    missing = without_figure(record)
    assert {ratio.name: ratio.step for ratio in missing} == {"throughput of peer's": "peer", "p95 of peer's": "peer"}
    known = bench.steps()
    assert {ratio.step for ratio in (*ratios(record), *missing)} <= set(known)


def _x(value: float, spread: float = 0.0, *, steady: bool = True) -> Ratio:
    return Ratio("x", "x", value, spread, higher_is_better=True, steady=steady)


@pytest.mark.parametrize(("now", "worse"), [(0.75, False), (0.70, False), (0.67, True)])
def test_runs_that_lie_apart_make_the_noise(now: float, worse: bool) -> None:
    """Spreads of 0.2 and 0.04 excuse a loss of 0.10 and not of 0.13."""
    assert compare([_x(0.8, 0.2)], [_x(now, 0.04)])[0].worse is worse


@pytest.mark.parametrize(("now", "worse"), [(0.94, False), (0.925, False), (0.91, True)])
def test_another_hour_excuses_eight_of_a_hundred(now: float, worse: bool) -> None:
    """In benches whose own runs agree to the last digit."""
    assert compare([_x(1.0)], [_x(now)])[0].worse is worse


@pytest.mark.parametrize(
    ("values", "now", "worse"),
    [
        ([0.8, 1.02], 0.91, False),
        ([0.8, 0.9], 0.85, True),
        ([0.8, 0.9, 0.95], 0.9, True),
        ([0.8, 0.94, 0.95], 0.94, False),
        ([0.7, 0.89, 1.0], 0.89, False),
        ([0.0, 0.0, 0.95], 0.0, True),
        ([0.8, 0.81, 0.82], 0.81, True),
        ([0.8, 0.81, 0.0], 0.8, True),
        ([0.8, 0.0, 0.82], 0.8, True),
    ],
)
def test_of_several_measurements_the_median_is_judged(values: list[float], now: float, worse: bool) -> None:
    """Of two their mean; and how far the best of them lies above that is noise as well.

    One that is worse than all others excuses none of them.
    """
    (change,) = compare([_x(1.0)], [_x(value) for value in values])
    assert change.now == pytest.approx(now)
    assert change.worse is worse
    assert [ratio.value for ratio in change.measured] == values
    lower = [Ratio("x", "x", 2.0 - value, 0.0, higher_is_better=False) for value in (1.0, *values)]
    assert compare(lower[:1], lower[1:])[0].worse is worse


def test_of_several_measurements_an_unsteady_one_does_not_count() -> None:
    """Where no other is there, it is shown, and there is no verdict."""
    (change,) = compare([_x(1.0)], [_x(0.5), _x(0.98, steady=False)])
    assert (change.now, change.worse, change.counted) == (0.5, True, 1)
    (change,) = compare([_x(1.0)], [_x(0.5, steady=False), _x(0.98)])
    assert (change.now, change.worse, change.counted) == (0.98, False, 1)
    (change,) = compare([_x(1.0)], [_x(0.5, steady=False)])
    assert (change.now, change.worse, change.counted) == (0.5, None, 0)


def test_no_worse_than_an_unsteady_figure_is_a_verdict_and_worse_is_none() -> None:
    """Of a machine that moved, only what is said to be a regression may be that machine's."""
    for now, worse in ((1.05, False), (0.95, False), (0.8, None)):
        (change,) = compare([_x(1.0, steady=False)], [_x(now)])
        assert change.worse is worse
    (change,) = compare([_x(1.0, steady=False)], [_x(1.05, steady=False)])
    assert change.worse is None


def test_a_figure_that_is_missing_is_worse_than_any_and_adds_no_noise() -> None:
    """Missing once and there once is still none; there twice of three is the one that counts."""
    none, found = _x(-inf), _x(0.97)
    (change,) = compare([_x(1.0)], [none, found])
    assert (change.now, change.worse) == (None, True)
    assert change.noise == pytest.approx(0.08)
    (change,) = compare([_x(1.0)], [none, found, found])
    assert (change.now, change.worse) == (0.97, False)
    slower = Ratio("x", "x", 1.0, 0.0, higher_is_better=False)
    (change,) = compare([slower], [replace(slower, value=inf), replace(slower, value=0.9)])
    assert (change.now, change.worse) == (None, True)


def test_the_report_tells_all_targets_and_that_a_partial_run_is_one(record: dict[str, Any], tmp_path: Path) -> None:
    """The page is made of the record alone."""
    record |= {"whole": False, "targets": [target.as_dict() for target in targets(record)]}
    write_report(record, tmp_path / "RESULTS.md", ["results/curves.png"])
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "Not to be relied on" in page
    assert all(target.what in page for target in targets(record))
    assert "results/curves.png" in page
    assert "2.5" in page
    assert "Left out: openvino float32 cannot run these graphs" in page


def test_a_table_has_as_many_cells_in_every_row() -> None:
    """A bar inside a cell would end it."""
    lines = table(("a", "b"), [("x|y", 1.23456), (None, 12345.6)]).splitlines()
    assert lines[2:] == ["| x\\|y | 1.23 |", "| – | 12346 |"]


def test_without_results_the_remedy_is_told(tmp_path: Path) -> None:
    """Nothing to show, or no results at all in a file."""
    with pytest.raises(NoResults, match="visavis bench"):
        results.newest(tmp_path)
    (tmp_path / "odd.json").write_text("[]")
    with pytest.raises(NoResults, match="no results"):
        results.read(tmp_path / "odd.json")


def test_a_machine_that_moved_gets_no_verdict(record: dict[str, Any]) -> None:
    """The figure stands in the table, marked; it neither meets its target nor is it a regression."""
    now = deepcopy(record)
    now["http"]["facepp-250"]["best"] |= {"share": 0.4, "steady": False}
    rows = {target.what: target for target in targets(now)}
    target = rows["Face++ over HTTP, 250×250, compares/s of the limit"]
    assert (target.met, target.got) == (None, "0.4, unsteady")
    assert rows["throughput of the peer's"].met is None
    changes = {change.name: change.worse for change in compare(ratios(record), ratios(now))}
    assert changes["facepp-250 of limit"] is None


def test_a_load_that_nobody_serves_any_more_is_missed_and_worse(record: dict[str, Any]) -> None:
    """Without a best load there is no share; that is no reason to say nothing."""
    now = deepcopy(record)
    now["http"]["facepp-250"]["best"]["serves"] = False
    missed = {target.what: target.met for target in targets(now) if target.got == "no load was served"}
    assert missed == {"Face++ over HTTP, 250×250, compares/s of the limit": False, "throughput of the peer's": False}
    assert "facepp-250 of limit" in {change.name for change in compare(ratios(record), ratios(now)) if change.worse}


def test_a_load_that_nobody_serves_while_others_have_the_cores_gets_no_verdict(record: dict[str, Any]) -> None:
    """That is the machine's fault; with the cores to itself it is the service's."""
    for stolen, verdict in ((0.4, None), (0.01, False)):
        now = deepcopy(record)
        del now["overload"]
        best = now["http"]["facepp-250"]["best"]
        for unserved in ({"best": None, "stolen": stolen}, {"best": {**best, "serves": False, "stolen": stolen}}):
            now["http"]["facepp-250"] |= unserved
            missed = {target.met for target in targets(now) if target.got.startswith("no load was served")}
            assert missed == {verdict}
            changes = {change.name: change.worse for change in compare(ratios(record), ratios(now))}
            assert (
                changes["facepp-250 of limit"] is changes["throughput of peer's"] is (None if verdict is None else True)
            )


def test_a_slow_recovery_gets_no_verdict_where_others_had_the_cores(record: dict[str, Any]) -> None:
    """A quick one does: it was quick all the same."""
    for stolen, recovery_s, verdict in ((0.3, 9.0, None), (0.3, 1.0, True), (0.01, 9.0, False)):
        record["overload"] |= {"stolen": stolen, "recovery_s": recovery_s}
        (met,) = (target.met for target in targets(record) if target.what == "overload: recovery in s")
        assert met is verdict


def test_an_ensemble_without_a_figure_misses_and_one_left_out_is_told(record: dict[str, Any], tmp_path: Path) -> None:
    """The first ran and answered nobody; the second could not be asked, and the row says why."""
    record["scenarios"]["ensemble"] |= {"points": [], "faults": ["ensemble at 8 gave no figures"], "best": None}
    record["left_out"] = {"ensemble-1mp": "no perf_analyzer runs here"}
    small, large = targets(record)[:2]
    assert (small.met, small.got) == (False, "no load was served")
    assert (large.met, large.got) == (None, "not measured: no perf_analyzer runs here")
    assert {ratio.name: ratio.value for ratio in ratios(record)}["ensemble of limit"] == 0.0
    record["targets"] = [target.as_dict() for target in targets(record)]
    write_report(record, tmp_path / "RESULTS.md", [])
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "ensemble at 8 gave no figures" in page
    assert "not measured: no perf_analyzer runs here" in page


def test_where_a_card_serves_a_processors_targets_get_no_verdict(record: dict[str, Any], tmp_path: Path) -> None:
    """The limit is the cores' alone; a card that only lies in the host changes nothing but the page's head."""
    record["machine"] |= {"gpu": ["NVIDIA H200"], "device": "cpu"}
    record["targets"] = [target.as_dict() for target in targets(record)]
    assert any(row["met"] for row in record["targets"])
    write_report(record, tmp_path / "RESULTS.md", [])
    assert "served without its GPU (NVIDIA H200)" in (tmp_path / "RESULTS.md").read_text("utf-8")
    record["machine"]["device"] = "gpu"
    assert {target.met for target in targets(record)} == {None}
    write_report(record, tmp_path / "RESULTS.md", [])
    assert "served by NVIDIA H200" in (tmp_path / "RESULTS.md").read_text("utf-8")


def test_core_milliseconds_stand_beside_the_limits(record: dict[str, Any], tmp_path: Path) -> None:
    """Each part of the service in a column, the limit's own above, and the sum without the generator."""
    record["targets"] = []
    write_report(record, tmp_path / "RESULTS.md", [])
    lines = (tmp_path / "RESULTS.md").read_text("utf-8").splitlines()
    assert "| limit, 250 | 0.25 | 5 | – | 6 | – | – | 11.2 | – |" in lines
    assert "| ensemble | – | 6.5 | – | 7.5 | 1 | 0.5 | 15.5 | 2.25 |" in lines
