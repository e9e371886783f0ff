"""``visavis compare`` against the running service."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from running import ROOT, RunningService

from visavis_server.own_programs import module_command


@pytest.fixture
def pictures(tmp_path: Path, portraits: dict[str, bytes]) -> Path:
    for name, picture in portraits.items():
        (tmp_path / f"{name}.jpg").write_bytes(picture)
    blank = io.BytesIO()
    Image.new("RGB", (320, 240), "white").save(blank, "PNG")
    (tmp_path / "blank.png").write_bytes(blank.getvalue())
    (tmp_path / "text.jpg").write_text("no picture")
    return tmp_path


def compare(service: RunningService, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "visavis_server", "compare", *arguments],
        cwd=ROOT,
        env={**os.environ, "VISAVIS_DATA_DIR": str(service.data_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_person_matches_oneself_at_every_rate(service: RunningService, pictures: Path) -> None:
    done = compare(service, pictures / "hopper.jpg", pictures / "hopper.jpg", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["score"] == pytest.approx(1, abs=1e-4)
    assert len(found["decisions"]) >= 2
    assert all(decision["match"] for decision in found["decisions"])
    (face,) = found["probe"]["faces"]
    left, top, width, height = face["box_xywh"]
    assert 0 < left < left + width < found["probe"]["width"]
    assert 0 < top < top + height < found["probe"]["height"]


def test_two_persons_match_at_no_rate(service: RunningService, pictures: Path) -> None:
    done = compare(service, pictures / "hopper.jpg", pictures / "astronaut.jpg")
    assert done.returncode == 0, done.stderr
    assert "not the same" in done.stdout
    assert "same person" not in done.stdout


def test_a_named_triton_answers_as_the_service_found_by_itself_does(service: RunningService, pictures: Path) -> None:
    given = ["--json", pictures / "hopper.jpg", pictures / "astronaut.jpg"]
    assert compare(service, *given, "--triton", service.grpc).stdout == compare(service, *given).stdout


def test_no_face_is_said_and_is_status_3(service: RunningService, pictures: Path) -> None:
    done = compare(service, pictures / "hopper.jpg", pictures / "blank.png")
    assert done.returncode == 3
    assert "no score: one of the pictures has no face" in done.stdout


def test_a_line_that_it_does_not_take_has_another_status(service: RunningService, pictures: Path) -> None:
    """A script tells a slip of the pen from a picture without a face."""
    assert compare(service, pictures / "hopper.jpg").returncode == 2


@pytest.mark.parametrize("name", ["text.jpg", "nowhere.jpg"])
def test_a_picture_that_cannot_be_read_is_one_sentence(service: RunningService, pictures: Path, name: str) -> None:
    done = compare(service, pictures / "hopper.jpg", pictures / name)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("visavis: ")
    assert name in line


def test_an_engine_that_is_not_there_is_one_sentence(service: RunningService, pictures: Path) -> None:
    done = compare(service, pictures / "hopper.jpg", pictures / "hopper.jpg", "--triton", "127.0.0.1:1")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("visavis: nobody listens at 127.0.0.1:1 (Connection refused): ")


def test_a_triton_of_its_own_runs_no_module_of_the_current_folder(
    service: RunningService, pictures: Path, tmp_path: Path
) -> None:
    """Its models' Pythons look there for modules first."""
    for name in ("numpy", "simplejpeg", "cv2", "faces"):
        (pictures / f"{name}.py").write_text("import pathlib\npathlib.Path(__file__).with_name('trapped').touch()\n")
    command = module_command("visavis_server", "compare", "hopper.jpg", "hopper.jpg")
    arguments = ["--data-dir", tmp_path / "own", "--model-repository", service.model_repository]
    done = subprocess.run(
        [*command, *arguments], cwd=pictures, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, (pictures / "trapped").exists()) == (0, False), done.stderr
