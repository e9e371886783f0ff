"""``visavis evaluate`` on the real Triton."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from portraits import as_jpeg
from running import ROOT, RunningService


def visavis(service: RunningService, cache: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "visavis_server", *arguments],
        cwd=ROOT,
        env={**os.environ, "VISAVIS_DATA_DIR": str(service.data_dir), "XDG_CACHE_HOME": str(cache), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def evaluate(service: RunningService, cache: Path, album: Path, *arguments: str | Path) -> tuple[dict[str, Any], str]:
    report = cache / "report"
    told = ("--triton", service.grpc, "--model-repository", service.model_repository, "--report", report)
    done = visavis(service, cache, "evaluate", album, *told, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((report / "evaluation.json").read_text()), done.stdout


@pytest.fixture
def album(tmp_path: Path, portraits: dict[str, bytes]) -> Path:
    """Two people, three photographs of each at several sizes, and one photograph of nobody."""
    root = tmp_path / "album"
    for name, data in portraits.items():
        (root / name).mkdir(parents=True)
        for number, size in enumerate((240, 300, 360), start=1):
            picture = tmp_path / "portrait.jpg"
            picture.write_bytes(data)
            small = Image.open(picture).convert("RGB")
            small.thumbnail((size, size))
            (root / name / f"{name}_{number:04d}.jpg").write_bytes(as_jpeg(small))
    (root / "hopper" / "hopper_0004.jpg").write_bytes(as_jpeg(Image.new("RGB", (320, 240), "white")))
    return root


def test_detection_and_embedding_times_are_told_apart_and_only_where_pictures_were_asked(
    service: RunningService, tmp_path: Path, album: Path
) -> None:
    """Seven pictures: six faces, and five frames for the picture without one; from the cache there are no times."""
    found, printed = evaluate(service, tmp_path, album)
    times = found["stage_times"]
    assert times["pictures"] == times["own_pictures"] == found["analysed"] == 7
    stages = {stage["stage"]: stage for stage in times["stages"]}
    assert {name: stage["inferences"] for name, stage in stages.items()} == {
        "decoding": 7,
        "detection": 6 + 5,
        "alignment": 7,
        "embedding": 7,  # where there is no face, the batch has one empty row
    }
    assert all(0 < stage["compute_ms"] < 2000 for stage in stages.values())
    assert all(0 <= stage["queue_ms"] < 2000 for stage in stages.values())
    assert "Inside Triton" in printed
    assert "7 of them this run's" in " ".join(printed.split())

    found, printed = evaluate(service, tmp_path, album)
    assert found["stage_times"] is None
    assert found["analysed"] == 0
    assert "no picture was asked of Triton; times unknown" in printed
