"""Other packs than the default one serve all four contracts: somebody's own files, and embeddings of another length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.aws.callers import key_of, plain, question
from contracts.coverage import contracts
from contracts.demo import agree, decide, lfw_pairs
from own_networks import embedder, write_pack
from running import RunningService, start_service

from visavis_server.device import Device
from visavis_server.triton import EmbeddedTriton

#: People of whom one photograph each makes 105,570 non-mated pairs: `calibrate` takes 100,000.
PEOPLE = 460


def run(module: str, *arguments: str | Path) -> None:
    """A command as a user types it; its own words where it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def insightface(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """SCRFD and MobileFaceNet, exported, calibrated on as many strangers as that takes, and served."""
    if not {"scrfd_2.5g.onnx", "mobilefacenet.onnx"} <= {path.name for path in (shared / "models").glob("*.onnx")}:
        pytest.skip("needs scrfd_2.5g.onnx and mobilefacenet.onnx in ../shared/models, which are not here")
    home = tmp_path_factory.mktemp("insightface")
    models, people = home / "models", home / "people"
    pack = ["--pack", "insightface", "--accept-licence", "--weights-dir", shared / "models"]
    run("visavis_export", "--model-repository", models, *pack)
    everybody = sorted((shared / "data" / "lfw").iterdir())
    for person in everybody[:: len(everybody) // PEOPLE][:PEOPLE]:
        (people / person.name).mkdir(parents=True)
        photograph = min(person.glob("*.jpg"))
        os.symlink(photograph, people / person.name / photograph.name)
    with EmbeddedTriton(models, log=home / "triton.log", device=Device.CPU) as triton:
        given = ["--model-repository", models, "--triton", triton.grpc_address]
        run("visavis_server", "calibrate", people, "--no-cache", *given)
        service = start_service(home, ["--triton", triton.grpc_address], model_repository=models)
        yield service
        service.stop()


def test_a_pack_of_ones_own_files_decides_alike_through_every_contract(insightface: RunningService) -> None:
    """By thresholds that `visavis calibrate` made: one person of the one pair and two of the other."""
    decisions = decide(insightface, lfw_pairs())
    assert list(decisions) == contracts()
    assert agree(decisions), decisions


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The default detector with an untrained embedder of 512 numbers, and thresholds that nobody measured."""
    home = tmp_path_factory.mktemp("long")
    models = home / "models"
    run("visavis_export", "--model-repository", models, "--pack", write_pack(home, embedder(512)))
    points = [{"false_match_rate": 10.0**-digits, "threshold": 0.9 + digits / 100} for digits in range(1, 7)]
    loaded = json.loads((models / "models.json").read_text("utf-8"))
    table = {"operating_points": points, "models": loaded, "evidence": "none"}
    (models / "operating_points.json").write_text(json.dumps(table), "utf-8")
    service = start_service(home, model_repository=models)
    yield service
    service.stop()


def test_embeddings_of_512_numbers_pass_every_layer(
    long: RunningService, portraits: dict[str, bytes], tmp_path: Path
) -> None:
    """A picture is the same person as itself, by every contract's own threshold."""
    picture = tmp_path / "hopper.jpg"
    picture.write_bytes(portraits["hopper"])
    decisions = decide(long, {"itself": (picture, picture)})
    assert list(decisions) == contracts()
    assert all(decision.same_person for (decision,) in decisions.values()), decisions


def test_face_hash_of_512_numbers_has_768(long: RunningService, portraits: dict[str, bytes]) -> None:
    """AWS's contract keeps its length whatever the model's is."""
    (face,) = plain(long, question(portraits["hopper"]), key_of(long)).answer["Faces"]
    assert len(face["face_hash"]) == 768
