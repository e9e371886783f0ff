"""What perf_analyzer and Triton write is read as they write it."""

from __future__ import annotations

import asyncio
import time
import urllib.error
from pathlib import Path

import pytest

from visavis_perf import proxy_metrics
from visavis_perf.perf_analyzer import (
    Effort,
    PerfAnalyzerFailed,
    command,
    parse,
    read_count,
    read_windows,
)
from visavis_perf.places import SCENARIOS
from visavis_perf.plan import Plan
from visavis_perf.proxy_metrics import ProxyTimes, parse_times, read_times
from visavis_perf.scenario_files import ScenarioInvalid, read_scenario, read_scenarios
from visavis_perf.triton_statistics import breakdown, divided_ms, parse_counters
from visavis_proxy.shared_check import SharedCheck

_CSV = """Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,\
Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency
8,97.5,12,410,2000,90,14000,33,2,81000,90000,95000,120500
"""


def test_csv_becomes_milliseconds() -> None:
    """perf_analyzer writes microseconds."""
    point = parse(_CSV, "8", windows=(95.0, 97.5, 100.0), answers=298)
    assert (point.images_per_s, point.p50_ms, point.p99_ms) == (97.5, 81.0, 120.5)
    assert point.parts_ms["Server Compute Infer"] == 14.0
    assert (point.as_dict()["p95_ms"], point.as_dict()["p99_ms"]) == (95.0, None)


def test_windows_are_read_from_what_is_said() -> None:
    """Three windows, each with its own rate."""
    said = "Request concurrency: 4\n  Pass [1] throughput: 38.946 infer/sec. Avg latency: 94495 usec (std 4 usec). \n"
    said += "  Pass [2] throughput: 29.7906 infer/sec. Avg latency: 135674 usec\n  Throughput: 34.2621 infer/sec\n"
    assert read_windows(said) == (38.946, 29.7906)
    assert read_count(said + "    Request count: 39\n  Client:\n    Request count: 103\n") == 103


def test_csv_without_a_row_is_a_failure() -> None:
    """A header alone comes of a run in which nothing was answered."""
    with pytest.raises(PerfAnalyzerFailed):
        parse(_CSV.splitlines()[0], "8", windows=(), answers=0)


def test_committed_scenarios_name_real_models_and_can_be_run() -> None:
    """Every argument file reads, names a model of the repository, and its input by the place-holder."""
    scenarios = read_scenarios(SCENARIOS)
    assert {"ensemble", "ensemble-1mp", "detector", "embedder"} <= scenarios.keys()
    for scenario in scenarios.values():
        assert scenario.model in {"face_analysis", "face_detector", "face_embedder"}
        assert "{input}" in scenario.flags
        assert scenario.purpose.endswith(".")
    assert [int(value) for value in scenarios["ensemble"].values(1.0)] == [1, 2, 4, 8, 16, 32, 64]
    assert scenarios["ensemble-cuda-shm"].needs_gpu


def test_rates_are_shares_of_the_limit() -> None:
    """A rate that suits one machine means nothing on another."""
    scenario = read_scenario(SCENARIOS / "ensemble-rate.args")
    assert scenario.values(100.0)[:2] == ["30.0", "50.0"]
    line = command("perf_analyzer", scenario, "30.0", "127.0.0.1:1", Path("in.json"), Effort())
    assert line[line.index("--request-rate-range") + 1] == "30.0:30.0"
    assert line[line.index("--input-data") + 1] == "in.json"


def test_triton_is_asked_as_the_proxy_asks_unless_the_file_says_otherwise() -> None:
    """Both protocols are there to be compared."""
    for name, protocol in (("ensemble", "http"), ("ensemble-grpc", "grpc")):
        line = command(
            "perf_analyzer", read_scenario(SCENARIOS / f"{name}.args"), "1", "127.0.0.1:1", Path("x"), Effort()
        )
        assert line[line.index("-i") + 1] == protocol


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("#: pictures = 250\n#: sweep = -b 1\n--input-data {input}\n", "-m"),
        ("#: pictures = huge\n#: sweep = -b 1\n-m x\n", "pictures"),
        ("#: pictures = 250\n-m x\n", "sweep"),
        ("#: pictures = 250\n#: sweep = -b\n-m x\n", "no values"),
        ("#: colour = red\n-m x\n", ":1:"),
        ("#: pictures = 250\n#: protocol = smoke\n#: sweep = -b 1\n-m x\n", "protocol"),
    ],
)
def test_a_faulty_scenario_is_refused(tmp_path: Path, text: str, word: str) -> None:
    """The text says what is missing, and where."""
    path = tmp_path / "odd.args"
    path.write_text(text)
    with pytest.raises(ScenarioInvalid, match=word):
        read_scenario(path)


def _stats(name: str, requests: int, infer_ms: float, queue_ms: float, total_ms: float) -> dict[str, object]:
    def spent(milliseconds: float) -> dict[str, int]:
        return {"count": requests, "ns": int(requests * milliseconds * 1e6)}

    stats = {"success": spent(total_ms), "queue": spent(queue_ms), "compute_infer": spent(infer_ms)}
    return {"name": name, "inference_count": 2 * requests, "execution_count": requests, "inference_stats": stats}


def test_stages_are_what_was_added_between_two_readings() -> None:
    """Means of the load alone, and what the steps leave unexplained in the whole."""
    before = parse_counters(
        {"model_stats": [_stats("face_detector", 10, 50, 9, 60), _stats("face_analysis", 10, 0, 0, 90)]}
    )
    after = {
        "model_stats": [
            {**_stats("face_detector", 20, 30, 5, 36), "execution_count": 15},
            _stats("face_analysis", 20, 0, 0, 55),
        ]
    }
    rows = breakdown(before, parse_counters(after))
    assert rows["face_detector"]["infer"] == pytest.approx(10)
    assert rows["face_detector"]["queue"] == pytest.approx(1)
    assert rows["face_detector"]["batch"] == pytest.approx(20 / 5)
    assert rows["face_analysis"]["total"] == pytest.approx(20)
    parts = divided_ms(rows)
    assert (parts["detect, queue"], parts["detect"]) == pytest.approx((1, 10))
    assert parts["between steps"] == pytest.approx(9)
    assert sum(parts.values()) == pytest.approx(20)


def test_a_model_that_was_not_asked_is_left_out() -> None:
    """Its mean would be a division by nothing."""
    reading = parse_counters({"model_stats": [_stats("face_embedder", 3, 1, 1, 2)]})
    assert breakdown(reading, reading) == {}


_METRICS = """# TYPE visavis_stage_seconds_total counter
visavis_stage_seconds_total{contract="aws",stage="read"} %(read)f
visavis_stage_seconds_total{contract="facepp",stage="read"} 1.0
visavis_stage_seconds_total{contract="aws",stage="engine"} %(engine)f
# TYPE visavis_request_duration_seconds histogram
visavis_request_duration_seconds_bucket{contract="aws",le="+Inf",result="answered"} %(answered)d
visavis_request_duration_seconds_sum{contract="aws",result="answered"} %(request)f
visavis_request_duration_seconds_count{contract="aws",result="answered"} %(answered)d
visavis_request_duration_seconds_sum{contract="aws",result="refused"} 77
visavis_request_duration_seconds_count{contract="aws",result="refused"} 9000
visavis_request_duration_seconds_sum{contract="none",result="answered"} 5
visavis_request_duration_seconds_count{contract="none",result="answered"} 10
# TYPE visavis_engine_duration_seconds histogram
visavis_engine_duration_seconds_sum{outcome="answered"} %(engine)f
visavis_engine_duration_seconds_count{outcome="answered"} %(answered)d
visavis_engine_duration_seconds_sum{outcome="engine_busy"} 3
visavis_engine_duration_seconds_count{outcome="engine_busy"} 3
"""


def test_the_proxys_times_are_means_of_answered_requests() -> None:
    """Of what came since; refusals, and whoever asks for the metrics, are no requests."""
    before = parse_times(_METRICS % {"read": 1.0, "engine": 2.0, "request": 3.5, "answered": 10})
    after = parse_times(_METRICS % {"read": 1.2, "engine": 2.6, "request": 4.5, "answered": 20})
    added = after.since(before)
    assert added.requests == 10
    assert added.request_ms == pytest.approx(100)
    assert added.picture_ms == pytest.approx(60)
    assert added.stages_ms == pytest.approx({"read": 20, "engine": 60})
    assert after.since(after).stages_ms == {"read": 0, "engine": 0}


class _Served:
    """What the proxy shows at ``/metrics``, kept for as long as the proxy keeps it, by a hand that sleeping moves."""

    def __init__(self) -> None:
        self.at, self.answered = 100.0, 0
        self._kept = SharedCheck(self._render, lambda: self.at)

    async def _render(self) -> str:
        return _METRICS % {"read": 1.0, "engine": 1.0, "request": 1.0, "answered": self.answered}

    def text(self, url: str) -> str:
        del url
        return asyncio.run(self._kept())

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> _Served:
    found = _Served()
    monkeypatch.setattr(proxy_metrics, "_read", found.text)
    monkeypatch.setattr(time, "sleep", found.sleep)
    return found


def test_the_proxys_times_are_read_when_they_show_the_whole_load(shown: _Served) -> None:
    """Its text is kept for a second: what was answered right before counts all the same."""
    for answered in (5, 12):
        shown.answered = answered
        assert read_times("http://x").requests == answered


def test_a_burst_of_the_limit_is_pause_enough(shown: _Served) -> None:
    """Nobody asks the service meanwhile, so nothing more is waited for; a shorter one leaves the rest to wait."""
    for seconds, waited in ((min(Plan.short().burst_seconds, Plan.full().burst_seconds), 0.0), (0.8, 0.3)):
        shown.answered += 1
        shown.at += seconds
        began = shown.at
        assert read_times("http://x", quiet_s=seconds).requests == shown.answered
        assert shown.at - began == pytest.approx(waited)


def test_a_service_that_shows_nothing_has_no_times(monkeypatch: pytest.MonkeyPatch, shown: _Served) -> None:
    """As the peer, which has no such page."""

    def refuse(url: str) -> str:
        raise urllib.error.URLError(f"no {url}")

    monkeypatch.setattr(proxy_metrics, "_read", refuse)
    assert read_times("http://x") == ProxyTimes()
    assert shown.at > 100
