"""``visavis evaluate`` on the real Triton."""

from __future__ import annotations

import itertools
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
    found, printed = evaluate(service, tmp_path, album, "--concurrency", "1")
    assert found["concurrency"] == 1
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


def test_a_drawn_list_of_pairs_gives_an_accuracy_over_its_folds(
    service: RunningService, tmp_path: Path, shared: Path
) -> None:
    """From a folder of photographs to the figure in the page: three photographs each of twelve people, four folds."""
    album = tmp_path / "album"
    folders = (folder for folder in sorted((shared / "data" / "lfw").iterdir()) if len(list(folder.iterdir())) > 2)
    for folder in itertools.islice(folders, 12):
        (album / folder.name).mkdir(parents=True)
        for photograph in sorted(folder.iterdir())[:3]:
            (album / folder.name / photograph.name).symlink_to(photograph)
    pairs = tmp_path / "pairs.txt"
    done = visavis(service, tmp_path, "pairs", album, "--folds", "4", "--pairs", "8", "--out", pairs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pairs.read_text().splitlines()) == 1 + 4 * (8 + 8)

    found, printed = evaluate(service, tmp_path, album, "--pairs", pairs)
    mean, deviation = found["fold_accuracy"]
    assert 0.9 < mean <= 1
    assert 0 <= deviation < 0.1
    assert found["folds"] == 4
    told = f"{mean:.2%} ± {deviation:.2%}"
    assert f"4-fold accuracy: {told}" in printed
    assert told in (tmp_path / "report" / "evaluation.html").read_text()

    pairs.write_text("\n".join(pairs.read_text().splitlines()[:-1]) + "\n")
    done = visavis(service, tmp_path, "evaluate", album, "--pairs", pairs, "--triton", service.grpc)
    assert done.returncode == 1
    assert "not a pairs file" in done.stdout


def test_thresholds_are_not_said_to_hold_where_there_are_too_few_people(
    service: RunningService, tmp_path: Path, album: Path
) -> None:
    told = ("--triton", service.grpc, "--model-repository", service.model_repository)
    done = visavis(service, tmp_path, "splits", album, *told)
    assert done.returncode == 1
    assert "too few non-mated pairs" in " ".join(done.stdout.split())
