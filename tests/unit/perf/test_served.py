"""The device that served is recorded, not the card that lies in the host."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from visavis_perf import main, results
from visavis_perf.machine import describe, short_name
from visavis_perf.served import device
from visavis_perf.service import Service
from visavis_perf.signing import Caller

_CARD = {"cores": 16, "units": ["avx2", "avx512f"], "gpu": ["NVIDIA H200, 143771 MiB, 570.86.15"]}


@contextmanager
def _triton(kind: str) -> Iterator[Service]:
    """Answers as Triton does when it is asked for a model's configuration."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/v2/models/face_embedder/config" else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"instance_group": [{"kind": kind, "count": 2}]}).encode())

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for tests."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Service("", None, f"127.0.0.1:{server.server_port}", 0, 0.0, Caller("", ""))
        finally:
            server.shutdown()


@pytest.mark.parametrize(("kind", "expected"), [("KIND_GPU", "gpu"), ("KIND_CPU", "cpu")])
def test_tritons_configuration_says_what_serves(kind: str, expected: str) -> None:
    """By the loaded models, whatever cards the host has."""
    with _triton(kind) as service:
        assert device(service).value == expected


def test_a_file_is_named_by_the_card_only_where_it_served() -> None:
    """A host with a card, and onnxruntime for processors: its figures are a processor's."""
    assert short_name({**_CARD, "device": "gpu"}) == "16core-nvidia-h200"
    assert short_name({**_CARD, "device": "cpu"}) == "16core-avx512f"
    assert short_name({**_CARD, "gpu": [], "device": "gpu"}) == "16core-gpu"
    assert short_name(describe()).startswith(f"{describe()['cores']}core-")


@pytest.mark.parametrize(("kind", "page"), [("cpu", "RESULTS.md"), ("gpu", "2026-01-01-16core-nvidia-h200.md")])
def test_a_whole_bench_on_a_card_leaves_the_processors_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, page: str
) -> None:
    """It has a page of its own beside its file."""
    monkeypatch.setattr(main, "PERF", tmp_path)
    monkeypatch.setattr(main, "RESULTS", tmp_path / "results")
    machine: dict[str, Any] = {**_CARD, "device": kind, "processor": "p", "memory_gib": 8}
    record = {"made": "2026-01-01T00:00:00Z", "revision": "abc", "quick": False, "whole": True, "elapsed_s": 1}
    record |= {"machine": machine, "versions": {}, "limits": {}, "targets": []}
    main.report(results.write(record, tmp_path / "results"))
    assert [path.name for path in tmp_path.rglob("*.md")] == [page]
