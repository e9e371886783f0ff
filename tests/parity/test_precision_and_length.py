"""`visavis export --precision fp16`, and embeddings of other lengths than the default's, as a user asks for them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from own_networks import embedder, write_pack

from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, RECORD, Repository

Command = Callable[..., "subprocess.CompletedProcess[str]"]
CONFIGS = (
    *(
        f"{model}/{name}"
        for model in ("face_embedder", "face_aligner")
        for name in ("config.pbtxt", "configs/cpu.pbtxt")
    ),
    "face_embedder/configs/tensorrt.pbtxt",
)


@pytest.fixture(scope="module")
def half(export: Command, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The default pack in half precision."""
    root = tmp_path_factory.mktemp("half")
    done = export(root, "--precision", "fp16")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fp16 embedder, cosine to fp32, worst" in done.stdout
    assert "fp16 accuracy, decisions changed at the operating" in done.stdout
    assert f"run `visavis calibrate DIR --model-repository {root}`" in done.stdout
    return Repository(root)


def record_of(repository: Repository) -> dict[str, str]:
    record: dict[str, str] = json.loads(repository.read(RECORD) or b"")
    return record


def test_templates_of_half_precision_have_an_identity_of_their_own(half: Repository, exported: Repository) -> None:
    """The record says the precision; thresholds of the float32 graphs are not installed beside it."""
    ours, whole = record_of(half), record_of(exported)
    assert (ours["precision"], whole["precision"]) == ("fp16", "fp32")
    assert ours["identity"] != whole["identity"]
    assert half.read(POINTS) is None


def test_half_precisions_tensors_are_those_of_the_configuration(half: Repository, exported: Repository) -> None:
    """Inputs and outputs as before; the convolutions' weights are float16."""
    for name in (DETECTOR, EMBEDDER):
        graph, before = (onnx.load_from_string(r.read(name) or b"").graph for r in (half, exported))
        assert (list(graph.input), list(graph.output)) == (list(before.input), list(before.output))
        kinds = {i.name: i.data_type for i in graph.initializer}
        assert {kinds[node.input[1]] for node in graph.node if node.op_type == "Conv"} == {TensorProto.FLOAT16}


def test_a_precision_stays_until_another_is_named(half: Repository, export: Command, tmp_path: Path) -> None:
    """An export without a precision, as every start of the service runs it, keeps it; naming the pack ends it."""
    copy = Repository(Path(shutil.copytree(half.root, tmp_path / "models")))
    assert export(copy.root).stdout.startswith("Nothing to do: ")
    assert export(copy.root, "--precision", "fp16").stdout.startswith("Nothing to do: ")
    assert export(copy.root, "--pack", "opencv").returncode == 0
    assert record_of(copy)["precision"] == "fp32"
    assert json.loads(copy.read(POINTS) or b"")["models"]["identity"] == record_of(copy)["identity"]


@pytest.fixture(scope="module")
def long(export: Command, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A pack of the user's, whose embeddings have 512 numbers, and which looks at a picture once."""
    folder = tmp_path_factory.mktemp("long")
    pack = write_pack(folder, embedder(512))
    pack.write_text(pack.read_text().replace("[embedder]", "second_look = false\n\n[embedder]"))
    done = export(folder / "models", "--pack", str(pack))
    assert done.returncode == 0, done.stdout + done.stderr
    return Repository(folder / "models")


def test_the_configurations_say_what_the_pack_says(long: Repository) -> None:
    """Graph, record and every configuration of either model agree."""
    record = json.loads(long.read(RECORD) or b"")
    assert (record["embedder"]["dimensions"], record["detector"]["second_look"]) == (512, False)
    for name in CONFIGS:
        wanted = b'string_value: "off"' if "aligner" in name else b'"embedding", data_type: TYPE_FP32, dims: [ 512 ]'
        assert wanted in (long.read(name) or b"")


def test_configurations_that_were_copied_anew_follow_the_pack_again(
    long: Repository, exported: Repository, export: Command, tmp_path: Path
) -> None:
    """As the container's start copies them; the graphs stay."""
    copy = Repository(Path(shutil.copytree(long.root, tmp_path / "models")))
    for name in CONFIGS:
        (copy.root / name).write_bytes(exported.read(name) or b"")
    before = {name: copy.digest(name) for name in (DETECTOR, EMBEDDER, RECORD)}
    assert all(copy.digest(name) != long.digest(name) for name in CONFIGS)
    done = export(copy.root)
    assert done.stdout.startswith("Nothing to do: ")
    assert {name: copy.digest(name) for name in before} == before
    assert {name: copy.digest(name) for name in CONFIGS} == {name: long.digest(name) for name in CONFIGS}


def test_what_does_not_bear_half_precision_replaces_nothing(long: Repository, export: Command, tmp_path: Path) -> None:
    """An embedder whose numbers leave float16's range is built in fp32 and refused in fp16, in one sentence."""
    copy = Repository(Path(shutil.copytree(long.root, tmp_path / "models")))
    before = {name: copy.digest(name) for name in (DETECTOR, EMBEDDER, RECORD)}
    done = export(copy.root, "--pack", str(write_pack(tmp_path, embedder(128, gain=30_000))), "--precision", "fp16")
    assert done.returncode == 1
    assert done.stderr.startswith("error: In half precision the graphs do not do what they do in fp32")
    assert done.stderr.count("\n") == 1
    assert {name: copy.digest(name) for name in before} == before


def test_another_precision_of_a_users_own_pack_needs_its_files(long: Repository, export: Command) -> None:
    """The default pack does not slip into its place."""
    before = long.digest(RECORD)
    done = export(long.root, "--precision", "fp16")
    assert (done.returncode, long.digest(RECORD)) == (1, before)
    assert done.stderr.endswith("holds the pack ours: to have it in fp16, export it with --pack.\n")
