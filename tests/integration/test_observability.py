"""Alerts and dashboard ask for what a running service and its Triton tell."""

from __future__ import annotations

import json

import httpx
import pytest
from observing import OF_A_GPU, expressions, matchers, names, samples
from running import RunningService


@pytest.fixture(scope="module")
def asked(service: RunningService, portraits: dict[str, bytes]) -> RunningService:
    """A service that has made a comparison, and refused to make another."""
    form = {"api_key": service.key_id, "api_secret": service.secret}
    pictures = {"image_file1": portraits["hopper"], "image_file2": portraits["hopper"]}
    assert httpx.post(f"{service.url}/facepp/v3/compare", data=form, files=pictures, timeout=30).status_code == 200
    url = f"{service.url}/facepp/v3/compare?api_secret={service.secret}"
    wrong = httpx.post(url, data={"api_key": "no such"}, timeout=30)
    assert wrong.status_code == 401
    return service


def test_triton_tells_what_is_asked_of_it(asked: RunningService) -> None:
    """With the labels that are asked for, whatever there is of a GPU aside."""
    told = samples(httpx.get(f"http://{asked.metrics}/metrics", timeout=20).text)
    for whose, expression in expressions():
        of_triton = {name for name in names(expression) if name.startswith("nv_")} - OF_A_GPU
        assert of_triton <= set(told), whose
        for metric, label, _, _ in matchers(expression):
            assert not metric.startswith("nv_") or label in told[metric], whose
    assert told["nv_inference_queue_duration_us"]["model"] >= {"face_detector", "face_embedder", "face_analysis"}


def test_the_workers_tell_together_what_is_going_on(asked: RunningService) -> None:
    """Levels and their limits, who is ready, what was started again, and what became of a request."""
    told = samples(httpx.get(f"{asked.url}/metrics", timeout=20).text)
    at_any_time = {
        *("visavis_workers", "visavis_engine_ready", "visavis_build_info", "visavis_restarts_total"),
        *("visavis_pictures_in_flight", "visavis_pictures_in_flight_limit", "visavis_requests_waiting"),
        *("visavis_held_body_bytes", "visavis_held_body_limit_bytes"),
    }
    after_a_call = {
        *("visavis_requests_total", "visavis_request_duration_seconds_bucket"),
        *("visavis_engine_duration_seconds_bucket", "visavis_state_duration_seconds_bucket"),
        "visavis_stage_seconds_total",
    }
    assert at_any_time | after_a_call <= set(told)
    assert {"answered", "client_error"} <= told["visavis_request_duration_seconds_count"]["result"]
    assert told["visavis_restarts_total"]["process"] == {"triton", "worker"}
    assert told["visavis_build_info"]["identity"] == {
        json.loads((asked.model_repository / "models.json").read_text())["identity"]
    }
    assert not [name for name, labels in told.items() if "pid" in labels]


def test_a_request_is_a_line_of_json_without_secrets(asked: RunningService) -> None:
    """As it stands on standard error, so that whatever gathers logs can read it."""
    written = asked.log.read_text()
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    found = [line for line in lines if line["path"] == "/facepp/v3/compare"]
    assert {"answered", "client_error"} <= {line["result"] for line in found}
    assert all({"time", "contract", "status", "outcome", "ms", "request_id"} <= set(line) for line in found)
    assert "visavis.access" not in written
    assert asked.secret not in written
