"""Every table of milliseconds adds up to its whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from visavis_perf.curves import draw
from visavis_perf.milliseconds import LATER, OUTSIDE, WAY, columns, divided_request_ms, section, typical_ms
from visavis_perf.proxy_metrics import ProxyTimes
from visavis_perf.triton_statistics import STEPS
from visavis_perf.triton_trace import passed_ms, pictures

_INSIDE = {"decode": 3.0, "detect, queue": 9.0, "detect": 33.0, "embed": 50.0, "between steps": 1.5}


def _proxy() -> ProxyTimes:
    """Ten requests of 110 ms, of whose two pictures each took 98 ms: the slower one 104."""
    stages = {
        "read": 0.01,
        "parse": 0.02,
        "verify": 0.003,
        "state": 0.007,
        "engine": 1.04,
        "answer": 0.01,
        "send": 0.01,
    }
    return ProxyTimes(1.1, 10, 1.96, 20, stages)


def test_a_request_is_divided_without_a_rest() -> None:
    """From when it was due to its answer's end, though its two pictures were in Triton at once."""
    rows = divided_request_ms(115.0, _proxy(), 96.5, _INSIDE)
    assert sum(rows.values()) == pytest.approx(115)
    assert rows[OUTSIDE] == pytest.approx(5)
    assert rows[WAY] == pytest.approx(1.5)
    assert rows[LATER] == pytest.approx(6)
    assert rows["parse"] == pytest.approx(2)


def test_clocks_that_do_not_agree_are_not_smoothed_over() -> None:
    """A row below nothing stays there for whoever reads it."""
    assert divided_request_ms(100.0, _proxy(), 96.5, _INSIDE)[OUTSIDE] == pytest.approx(-10)


def test_the_typical_picture_leaves_out_both_ends_and_still_adds_up() -> None:
    """One that met a neighbour's burst of work moves nothing."""
    seen = [{"decode": 2.0, "detect": 10.0 + turn} for turn in range(8)] + [{"decode": 500.0, "detect": 10.0}]
    rows = typical_ms(seen)
    assert rows["decode"] == 2.0
    assert 12 <= rows["detect"] <= 16


def _record() -> dict[str, Any]:
    milliseconds = divided_request_ms(115.0, _proxy(), 96.5, _INSIDE)
    stages = {"face_embedder": {"rows": 1.12, "batch": 1.9}, "image_decoder": {"rows": 1.0, "batch": 1.0}}
    ensemble = {
        "model": "face_detector",
        "pictures": "250",
        "points": [{"value": "4"}],
        "stages": {
            "4": {"face_detector": {"queue": 1.0, "input": 0.5, "infer": 9.5}, "face_analysis": {"total": 12.0}}
        },
    }
    contracts = {"aws": {"bare_parts_ms": {"decode": 2.0, "detect": 30.0, "embed": 45.0}}}
    return {
        "limits": {"250": {}},
        "http": {"facepp-250": {"curve": [], "stages": stages, "milliseconds": milliseconds}},
        "scenarios": {"ensemble": ensemble},
        "idle": {"contracts": contracts, "traced": {"pictures": 50, "milliseconds": milliseconds}},
    }


def test_the_page_shows_each_load_as_a_column_under_its_whole() -> None:
    """An idle picture stands beside the bare work, with what the service adds to each step."""
    lines = section(_record()).splitlines()
    assert "| **whole** | 115 |" in lines
    assert "| **whole** | 12 |" in lines
    assert "| between steps | 1 |" in lines
    assert "| **whole** | 115 | 77 | 38 |" in lines
    assert "| embed | 50 | 45 | 5 |" in lines
    assert any(
        line.endswith("Most of it: detect, queue 9 ms, the later picture 6 ms, outside the proxy 5 ms, embed 5 ms.")
        for line in lines
    )
    assert "| embed: rows an execution | 1.9 |" in lines
    assert not any(line.startswith("| decode: rows") for line in lines), "one picture is one row there, always"
    assert section({}) == ""


def test_a_trace_that_is_missing_is_told() -> None:
    """In place of its table."""
    record = _record()
    record["idle"]["traced"] = {"missing": "this Triton was started without a file"}
    assert "No trace of an idle service's pictures: this Triton was started without a file." in section(record)


def test_an_older_record_without_the_division_is_still_shown() -> None:
    """`visavis bench report` is given results of any day."""
    record = _record()
    del record["http"]["facepp-250"]["milliseconds"], record["idle"]["traced"]
    assert columns(record)[0] == {}
    assert "The ensemble without HTTP" in section(record)


def test_every_row_has_its_colour(tmp_path: Path) -> None:
    """A part that is in no bar would leave it too short."""
    assert draw(_record(), tmp_path, "x") == ["x-stages.png"]
    from visavis_perf.curves import _PARTS

    drawn = {row for rows, _ in _PARTS.values() for row in rows}
    http, closed = columns(_record())
    assert {row for rows in (*http.values(), *closed.values()) for row in rows} <= drawn


def _trace(root: int, at: int) -> list[dict[str, Any]]:
    """What Triton writes of one picture, in its own order: a model, and its timestamps piece by piece."""
    ms = 1_000_000
    records: list[dict[str, Any]] = [
        {"id": root, "model_name": "face_analysis", "model_version": 1},
        {
            "id": root,
            "timestamps": [{"name": "HTTP_RECV_START", "ns": at}, {"name": "HTTP_SEND_END", "ns": at + 70 * ms}],
        },
    ]
    for turn, model in enumerate(STEPS):
        begun = at + (1 + 15 * turn) * ms
        stamps = {"QUEUE_START": 0, "COMPUTE_START": 2, "COMPUTE_OUTPUT_START": 14, "COMPUTE_END": 22}
        records.append({"id": root + 1 + turn, "model_name": model, "parent_id": root})
        records += [
            {"id": root + 1 + turn, "timestamps": [{"name": name, "ns": begun + after * ms}]}
            for name, after in stamps.items()
        ]
    return records


def test_a_trace_is_divided_at_its_marks() -> None:
    """Each step from its queue to where it gives its outputs; what it clears up after that is the next one's time."""
    (marks,) = pictures(_trace(7, 1000))
    rows = passed_ms(marks)
    assert sum(rows.values()) == pytest.approx(70)
    assert (rows["to decode"], rows["decode, queue"], rows["decode"]) == pytest.approx((1, 2, 12))
    assert (rows["to detect"], rows["from embed"]) == pytest.approx((1, 10))


def test_other_traces_are_left_out() -> None:
    """A request for one model alone, a picture whose answer was still to come, and a second look's calls."""
    whole = _trace(1, 0)
    alone = [{"id": 50, "model_name": "face_detector"}, {"id": 50, "timestamps": [{"name": "QUEUE_START", "ns": 5}]}]
    second_look = [{"id": 60, "model_name": "face_detector", "parent_id": 4}]
    unfinished = [one for one in _trace(20, 0) if "HTTP_SEND_END" not in json.dumps(one)]
    assert len(pictures([*whole, *alone, *second_look, *unfinished])) == 1
