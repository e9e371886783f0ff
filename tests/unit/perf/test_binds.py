"""The page says whether it is fast, and of what is not, what binds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from visavis_perf.at_a_glance import at_a_glance
from visavis_perf.binds import UNUSED, binds, gap_of
from visavis_perf.brackets import Bracketed, Repeat
from visavis_perf.contracts import OK
from visavis_perf.http_steps import best_load
from visavis_perf.milliseconds import LATER
from visavis_perf.ratios import ratios
from visavis_perf.report import write_report
from visavis_perf.samples import Sample, Summary, late_generator, summarise
from visavis_perf.targets import SHARES, targets

_ENSEMBLE = SHARES["scenarios", "ensemble"]
_FACEPP = SHARES["http", "facepp-250"]


def _best(share: float, limit: float, **more: Any) -> dict[str, Any]:
    """Runs between bursts of so much a second."""
    run = {"rate": share * limit, "before": 0.9 * limit, "after": 1.1 * limit, "share": share, "steady": True}
    figures = {"share": share, "spread": 0.01, "steady": True, "serves": True, "runs": [run] * 3, "offered": share}
    figures |= {"rate": 1.25 * share * limit}
    return figures | {"goodput": share * limit, "images_per_s": share * limit, "value": "8", "wrong": 0, **more}


@pytest.fixture
def record() -> dict[str, Any]:
    """Two cores: 80 images a second are the limit over the whole bench, 25 core-milliseconds each."""
    limit = {
        **{"runtime": "onnxruntime float32", "images_per_s": 80.0, "slowest": 70.0, "fastest": 90.0, "bursts": [80.0]},
        **{"tried": {"onnxruntime float32": 80.0}, "unable": {}},
        "core_ms": {"decode": 0.4, "detect": 9.6, "embed": 14.4},
    }
    ensemble_ms = {"image_decoder": 2.0, "face_detector": 12.0, "face_aligner": 1.5, "face_embedder": 18.0}
    facepp_ms = {**ensemble_ms, "proxy": 2.0, "face_embedder": 19.0}
    ensemble = {"pictures": "250", "model": "face_analysis", "sweep": "-x", "faults": [], "points": [], "stages": {}}
    curve = {"pictures": "250", "limit_per_s": 32.0, "curve": [], "stages": {"face_embedder": {"rows": 1.25}}}
    # The machine was a fifth slower then: a picture of the limit took 31.25 core-milliseconds.
    table: dict[str, Any] = {
        **{"made": "2026-01-01T00:00:00Z", "revision": "abc", "whole": True, "elapsed_s": 1000, "versions": {}},
        "machine": {"processor": "p", "cores": 2, "units": ["avx2"], "memory_gib": 8, "gpu": []},
        "limits": {"250": limit},
        "scenarios": {
            "ensemble": {**ensemble, "limit_per_s": 64.0, "best": _best(0.8, 64.0, p99_ms=90.0)}
            | {"core_ms": {**ensemble_ms, "triton": 3.0, "generator": 0.5}}
        },
        "http": {
            "facepp-250": {**curve, "best": _best(0.5, 32.0, p50_ms=20.0, p95_ms=31.0, p99_ms=80.0, late_p99_ms=7.0)}
            | {"core_ms": {**facepp_ms, "triton": 3.0, "generator": 1.0}}
        },
    }
    return _judged(table)


def _judged(record: dict[str, Any]) -> dict[str, Any]:
    record["targets"] = [target.as_dict() for target in targets(record)]
    return record


def test_a_gap_is_divided_without_a_rest(record: dict[str, Any]) -> None:
    """At the speed that the machine had meanwhile; what nobody used is the remainder."""
    gap = gap_of(record, record["scenarios"]["ensemble"], 1)
    assert gap is not None
    assert (gap.limit, gap.ours) == pytest.approx((31.25, 31.25 / 0.8))
    assert gap.parts["detecting"] == pytest.approx(12 - 9.6 * 80 / 64)
    assert gap.parts["aligning"] == 1.5
    assert sum(gap.parts.values()) == pytest.approx(gap.ms)
    assert gap.parts[UNUSED] == pytest.approx(39.0625 - 37 - (31.25 - 30.5))


def test_each_missed_share_says_what_binds(record: dict[str, Any]) -> None:
    """The largest parts with their share of the gap, and the cores that nobody used; nothing of what is met."""
    ensemble, facepp = binds(record).splitlines()
    assert ensemble.startswith("* ensemble, 250×250: a picture takes 39.1 core-milliseconds, 7.8 more than the limit's")
    assert "Triton itself 3 ms (38 %)" in ensemble
    assert "cores that nobody used 1.3 ms (17 %)" in ensemble
    # A comparison has two pictures; half of the cores waited.
    assert facepp.startswith("* Face++ over HTTP, 250×250: a picture takes 62.5 core-milliseconds, 31 more")
    assert "cores that nobody used 21 ms (68 %)" in facepp
    record["scenarios"]["ensemble"]["best"] = _best(0.9, 64.0)
    assert _ENSEMBLE.split(",")[0] not in binds(_judged(record))


def test_more_faces_than_the_limit_embeds_are_named(record: dict[str, Any]) -> None:
    """Bystanders cost, and are no overhead."""
    record["http"]["facepp-250"]["core_ms"]["face_embedder"] = 24.0
    assert "embedding (1.25 faces a picture, the limit one) 6 ms (19 %)" in binds(record).splitlines()[1]


def test_an_overload_is_explained_beside_the_peak(record: dict[str, Any]) -> None:
    """What refusals cost: the proxy's time falls to the pictures that are answered."""
    peak = record["http"]["facepp-250"]
    spent = {**peak["core_ms"], "proxy": 9.0}
    told = {**_best(0.4, 32.0), "goodput_of_peak": 0.8, "peak_steady": True, "core_ms": spent}
    record["overload"] = {**told, "wrong": 0, "recovery_s": 0.1}
    line = binds(_judged(record)).splitlines()[-1]
    assert line.startswith(
        "* overload: an answered picture takes 78.1 core-milliseconds, 16 more than the peak's 62.5:"
    )
    assert "the proxy 7 ms (45 %), cores that nobody used 8.6 ms (55 %)" in line


def test_an_unsteady_share_is_explained_too(record: dict[str, Any]) -> None:
    """It might be a miss; and where all cores were busy, that is told in place of a difference of clocks."""
    record["scenarios"]["ensemble"]["best"] = {**_best(0.83, 64.0), "steady": False}
    line = binds(_judged(record)).splitlines()[0]
    assert line.endswith("and no core was left unused.")
    del record["scenarios"]["ensemble"]["core_ms"]
    assert len(binds(record).splitlines()) == 1


def test_an_idle_service_is_explained_by_its_traces(record: dict[str, Any]) -> None:
    """Of a comparison beside the later one of two bare pictures; without a trace that is told."""
    steady = {"share": 1.6, "spread": 0.1, "steady": True}
    bare = {"decode": 1.0, "detect": 11.0, "align": 0.2, "embed": 15.0}
    traced = {"decode": 2.0, "detect": 14.0, "align": 1.0, "embed": 19.0, "to detect": 1.5, LATER: 2.5}
    record["idle"] = {
        "contracts": {"aws": steady, "facepp": {**steady, "bare_parts_ms": bare, "bare_p50_ms": 29.2}},
        "traced": {"missing": "no file"},
        "traced_facepp": {"pictures": 20, "milliseconds": traced},
    }
    lines = binds(_judged(record)).splitlines()
    assert lines[-2] == "* idle service, p50 of one picture (AWS): no trace tells."
    assert lines[-1].startswith("* idle service, p50 of a comparison (Face++), traced: 40 ms, 11 more than the bare")
    assert "embed 4 ms (37 %)" in lines[-1]
    assert UNUSED not in lines[-1]


def test_three_lines_answer_before_the_tables(record: dict[str, Any], tmp_path: Path) -> None:
    """Comparisons a second with their latencies on this machine; the peer; how many targets."""
    record["peer"] = {"pictures": "250", "curve": [], "best": _best(0.25, 32.0)}
    lines = at_a_glance(_judged(record)).splitlines()
    assert len(lines) == 3
    assert "2 cores (p): at the most **16 Face++ comparisons a second**" in lines[0]
    assert "half within 20 ms, 99 in 100 within 80 ms, while 20% of what was offered was refused" in lines[0]
    assert "0.5 of what these cores" in lines[0]
    assert lines[1].startswith("* **2 times** the comparisons")
    assert "1 met" in lines[2]
    assert "2 missed" in lines[2]
    write_report(record, tmp_path / "page.md", [])
    page = (tmp_path / "page.md").read_text("utf-8")
    assert page.index(lines[0]) < page.index(lines[2]) < page.index("|")
    assert "**What binds**" in page
    assert "| 7 |" in page.split("generator late, p99 ms")[1]


def test_a_load_with_room_is_told_beside_the_best_one(record: dict[str, Any]) -> None:
    """Where next to nothing is refused; not where it is, or answers were wrong."""
    turns = {"offered": 0.25, "times": 2.0, "answered": 1.0, "wrong": 0, "ours_s": [0.05] * 60}
    record["twice_the_peer"] = turns
    assert "* At 0.5 of the limit, where hardly any is refused, half within 50 ms, 95 in 100" in at_a_glance(record)
    for fault in ({"answered": 0.98}, {"wrong": 1}):
        record["twice_the_peer"] = turns | fault
        assert "hardly any is refused" not in at_a_glance(record)


def test_nothing_is_said_of_what_was_not_measured(record: dict[str, Any]) -> None:
    """A record of one step; and one whose service served nothing."""
    del record["http"]
    assert at_a_glance(_judged(record)).startswith("* Of 18 targets: **0 met, 0 undecided, 1 missed**, 17 not measured")
    record["http"] = {"facepp-250": {"best": None, "pictures": "250", "limit_per_s": 32.0, "curve": []}}
    assert "no load of Face++ comparisons was served" in at_a_glance(_judged(record))


def test_a_late_generator_gets_no_verdict(record: dict[str, Any]) -> None:
    """Above a tenth of p99 the figures are its own; the cell says so."""
    best = record["http"]["facepp-250"]["best"]
    best |= {"late_of_p99": 0.09}
    assert {row.what: row.met for row in targets(record)}[_FACEPP] is False
    best |= {"late_p99_ms": 12.0, "late_of_p99": 0.15}
    row = {row.what: row for row in targets(record)}[_FACEPP]
    assert (row.met, row.got) == (None, "0.5, no verdict: the generator itself was 12 ms late, 15 % of p99")
    assert {ratio.name: ratio.steady for ratio in ratios(record)}["facepp-250 of limit"] is False
    record["peer"] = {"pictures": "250", "curve": [], "best": _best(0.25, 32.0)}
    assert {row.what: row.met for row in targets(record)}["throughput of the peer's"] is None


def _summary(late_s: float) -> Summary:
    samples = [Sample(turn / 10, late_s if turn % 10 == 0 else 0.001, 0.1, OK) for turn in range(200)]
    return summarise(samples, rate=10, seconds=20)


def test_a_best_load_keeps_its_generators_delay() -> None:
    """Of all runs that count together, as its latencies; single delays do not go into the file."""
    runs = tuple(Repeat(_summary(late_s), 10.0, 20.0, 20.0) for late_s in (0.02, 0.02, 0.02))
    told = best_load(Bracketed(runs, 3), 0.5)
    assert told["late_p99_ms"] == pytest.approx(20)
    assert told["late_of_p99"] == pytest.approx(0.2)
    assert late_generator(told) is not None
    assert late_generator({}) is None
    assert "late_s" not in _summary(0.02).as_dict()


def test_other_pictures_are_told_in_every_row_that_was_measured_with_them(record: dict[str, Any]) -> None:
    """Targets are stated for LFW."""
    record |= {"pictures": {"source": "two public-domain portraits", "sets": {}}, "start": {"second_s": 5.0}}
    got = {row.what: row.got for row in targets(record)}
    assert got[_ENSEMBLE] == "0.8, on other pictures"
    assert got["second start to ready in s"] == "5"
    assert got["overload: recovery in s"] == "not measured"
    record["pictures"]["source"] = "the research photographs"
    assert not any("other pictures" in row.got for row in targets(record))


def test_refusals_are_told_with_the_slowest(record: dict[str, Any]) -> None:
    """Judged by p99, as it says; the maximum stands beside it."""
    record["overload"] = {"busy_p99_ms": 33.6, "busy_max_ms": 141.0, "refused": 5486, "wrong": 0, "recovery_s": 0.1}
    row = next(row for row in targets(record) if "refusals" in row.what)
    assert (row.met, row.got) == (True, "33.6, of 5486 refusals, the slowest 141")
