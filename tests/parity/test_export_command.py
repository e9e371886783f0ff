"""`visavis export`, run as a user runs it, with the real weights."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, RECORD, Repository

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FILES = (DETECTOR, EMBEDDER, POINTS, RECORD)


def contents(repository: Repository) -> dict[str, bytes | None]:
    return {name: repository.read(name) for name in FILES}


@pytest.fixture
def copy(exported: Repository, tmp_path: Path) -> Repository:
    """A finished repository of the test's own."""
    shutil.copytree(exported.root, tmp_path / "models")
    return Repository(tmp_path / "models")


def spent_s() -> float:
    """By the processes that this one has waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_a_second_run_says_within_a_second_that_there_is_nothing_to_do(exported: Repository, export: Command) -> None:
    """Python's start included; a second of a core, and the best of three, since the machine may be busy."""
    took = []
    for _ in range(3):
        began = spent_s()
        done = export(exported.root)
        took.append(spent_s() - began)
        assert done.returncode == 0
        assert done.stdout.startswith("Nothing to do: ")
    assert min(took) < 1


def test_a_quiet_second_run_says_nothing(exported: Repository, export: Command) -> None:
    """So it is run before every start, where nobody asked for it."""
    done = export(exported.root, "--quiet")
    assert (done.returncode, done.stdout) == (0, "")


def test_building_twice_gives_the_same_bytes(exported: Repository, export: Command, tmp_path: Path) -> None:
    """A build on one thread and under another hash seed gives the graphs and the record byte for byte."""
    settings = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    assert export(tmp_path, env=settings).returncode == 0
    assert contents(Repository(tmp_path)) == contents(exported)


def test_graphs_are_sound_and_old_enough_for_the_served_runtimes(exported: Repository) -> None:
    """onnx's full check passes; opset 17 and IR 8 are read by onnxruntime 1.18; weights are no inputs."""
    for name in (DETECTOR, EMBEDDER):
        model = onnx.load_from_string(exported.read(name) or b"")
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version <= 9
        assert [opset.version for opset in model.opset_import] == [17]
        assert [tensor.name for tensor in model.graph.input] == ["image"]


def test_the_record_tells_what_lies_there_and_what_it_may_be_used_for(exported: Repository) -> None:
    """models.json: identity from the embedder's digest, dimensions, licences, provenance; thresholds agree with it."""
    record = json.loads(exported.read(RECORD) or b"")
    assert record["pack"] == "opencv"
    assert record["detector"]["sha256"] == exported.digest(DETECTOR)
    assert record["embedder"]["sha256"] == exported.digest(EMBEDDER)
    assert record["identity"] == f"opencv-{record['embedder']['sha256'][:12]}"
    assert record["embedder"]["dimensions"] == 128
    assert {record[part]["weights"]["licence"] for part in ("detector", "embedder")} == {"MIT", "Apache-2.0"}
    points = json.loads(exported.read(POINTS) or b"")
    assert points["models"]["identity"] == record["identity"]
    assert points["models"]["detector"]["sha256"] == record["detector"]["sha256"]


def test_a_full_disk_leaves_the_old_repository(copy: Repository, export: Command) -> None:
    """A write that the system refuses ends in one sentence and exit code 1; not a byte has changed."""
    before = contents(copy)

    def no_room() -> None:
        # The detector's graph fits, the embedder's does not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))

    done = export(copy.root, "--force", preexec_fn=no_room)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("cannot be used (File too large); it is as it was.")
    assert "Traceback" not in done.stderr
    assert contents(copy) == before
    assert not list(copy.root.rglob(".export-*"))


def test_wrong_weights_leave_the_old_repository(copy: Repository, export: Command, tmp_path: Path) -> None:
    """A folder whose detector is another file is refused by its digest."""
    before = contents(copy)
    (tmp_path / "face_detection_yunet_2023mar_int8bq.onnx").write_bytes(b"something else")
    done = export(copy.root, "--weights-dir", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is pinned; it was not used." in done.stderr
    assert contents(copy) == before


def test_graphs_that_fail_verification_replace_nothing(copy: Repository) -> None:
    """A recipe that loses one layer's bias builds a sound graph, which is measured and refused."""
    before = contents(copy)
    spoilt = (
        "from visavis_export import embedder, exporting\n"
        "from visavis_export.main import app\n"
        "from dataclasses import replace\n"
        "read = embedder._read_layer\n"
        "embedder._read_layer = lambda *a: replace(read(*a), bias=0 * read(*a).bias)\n"
        "app()\n"
    )
    command = [sys.executable, "-c", spoilt, "--model-repository", str(copy.root), "--force"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert "do not do what the originals do, so nothing was replaced: embedder, cosine" in done.stderr
    assert contents(copy) == before


def test_a_damaged_graph_is_built_again(copy: Repository, exported: Repository, export: Command) -> None:
    """What the record says is compared with what lies there."""
    (copy.root / DETECTOR).write_bytes(b"cut short")
    assert export(copy.root).returncode == 0
    assert contents(copy) == contents(exported)


def test_a_users_own_thresholds_stay(copy: Repository, export: Command) -> None:
    """Calibrated for the same graphs, they are not replaced by the pack's; a table of other ones is."""
    table = json.loads(copy.read(POINTS) or b"")
    own = json.dumps({**table, "evidence": "our own photographs"}).encode()
    (copy.root / POINTS).write_bytes(own)
    assert export(copy.root, "--force").returncode == 0
    assert copy.read(POINTS) == own
    (copy.root / POINTS).write_bytes(json.dumps({**table, "models": {"identity": "other-000000000000"}}).encode())
    assert export(copy.root, "--force").returncode == 0
    assert json.loads(copy.read(POINTS) or b"") == table


def test_an_unknown_pack_is_one_sentence(export: Command, tmp_path: Path) -> None:
    done = export(tmp_path / "models", "--pack", "nobody")
    assert (done.returncode, done.stderr) == (1, "error: There is no pack 'nobody'; known are: insightface, opencv.\n")
    assert not (tmp_path / "models").exists()
