"""A repository for a Triton in a container has as many instances as the launcher would make of the same cores."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from visavis_export.configurations import PROJECTS
from visavis_export.errors import RepositoryUnwritable
from visavis_export.instances import set_instances
from visavis_export.repository import RECORD, Repository
from visavis_server.placing import PER_CORE, with_instances

RECORDED = json.dumps({"pack": "opencv"})


@pytest.fixture
def whole(tmp_path: Path) -> Repository:
    """The project's repository as it is checked in, with a record of graphs."""
    ignored = shutil.ignore_patterns("*.onnx", "*.json", "__pycache__", ".export*")
    root = Path(shutil.copytree(PROJECTS, tmp_path / "models", ignore=ignored))
    (root / RECORD).write_text(RECORDED)
    return Repository(root)


def count(text: str) -> int:
    return sum(group.count for group in text_format.Parse(text, ModelConfig()).instance_group)


def configurations_of(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.pbtxt")}


@pytest.mark.parametrize("cores", [1, 2, 7, 8, 64])
def test_it_makes_as_many_as_the_launcher(whole: Repository, cores: int) -> None:
    """Nothing else of a file changes, and those that do not ask stay to the letter."""
    before = configurations_of(whole.root)
    set_instances(whole, cores)
    after = configurations_of(whole.root)
    asking = {name for name, text in before.items() if PER_CORE in text_format.Parse(text, ModelConfig()).parameters}
    assert {f"{name}/configs/cpu.pbtxt" for name in ("image_decoder", "face_aligner", "face_embedder")} < asking
    assert {"image_decoder/config.pbtxt", "face_aligner/config.pbtxt"} < asking
    for name in before:
        if name in asking:
            assert count(after[name]) == count(with_instances(before[name], cores)), name
            assert len(set(after[name].splitlines()) - set(before[name].splitlines())) <= 1
        else:
            assert after[name] == before[name]
    assert (whole.root / RECORD).read_text() == RECORDED
    assert set_instances(whole, cores) == ()


@pytest.mark.parametrize("away", ["", "#"])
def test_a_count_set_by_hand_stays(whole: Repository, away: str) -> None:
    """Where the parameter is taken out, or put behind a comment's sign."""
    decoder = whole.root / "image_decoder/config.pbtxt"
    text = decoder.read_text().replace("count: 8", "count: 3")
    text = re.sub(r"( *\{ key: \"instances_per_core.*\n)", lambda line: away + line[1] if away else "", text)
    decoder.write_text(text)
    assert "image_decoder/configs/cpu.pbtxt" in set_instances(whole, 16)
    assert count(decoder.read_text()) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('parameters [ { key: "instances_per_core", value: { string_value: "many" } } ]', "'many' is not a number"),
        (
            'parameters [ { key: "instances_per_core", value: { string_value: "1" } } ]',
            "does not say once: instance_gr",
        ),
    ],
)
def test_what_cannot_be_set_is_one_sentence_and_changes_nothing(whole: Repository, text: str, sentence: str) -> None:
    (whole.root / "face_embedder/configs/cpu.pbtxt").write_text(text)
    before = configurations_of(whole.root)
    with pytest.raises(RepositoryUnwritable, match=sentence):
        set_instances(whole, 16)
    assert configurations_of(whole.root) == before


def test_a_repository_without_graphs_is_refused(whole: Repository) -> None:
    """Rather than given an empty record."""
    (whole.root / RECORD).unlink()
    with pytest.raises(RepositoryUnwritable, match="export them first"):
        set_instances(whole, 4)
    assert not (whole.root / RECORD).exists()


def test_the_command_sets_them(whole: Repository) -> None:
    command = [sys.executable, "-m", "visavis_export", "instances", "--cores", "12"]
    run = subprocess.run([*command, "--model-repository", whole.root], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "image_decoder/config.pbtxt" in run.stdout
    assert count((whole.root / "image_decoder/config.pbtxt").read_text()) == 12
