"""Triton is given the model repository with as many instances of each model as the cores can use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from visavis_export.configurations import PROJECTS
from visavis_server import cores
from visavis_server.errors import TritonFailed
from visavis_server.placing import lay_out, undecided, with_instances

FIXED = 'name: "a"\ninstance_group [ { kind: KIND_CPU, count: 3 } ]  # as the operator wants it\n'


def asking(per_core: str) -> str:
    return f'name: "a" parameters [ {{ key: "instances_per_core", value: {{ string_value: "{per_core}" }} }} ]'


def groups(text: str) -> list[ModelInstanceGroup]:
    return list(text_format.Parse(text, ModelConfig()).instance_group)


@pytest.mark.parametrize(
    ("per_core", "usable", "counts"),
    [("1", 1, [1, 1]), ("1", 2, [1, 1]), ("1", 16, [1, 1, 1, 13]), ("0.25", 2, [1, 1]), ("0.25", 12, [1, 1, 1])],
)
def test_instances_follow_the_cores(per_core: str, usable: int, counts: list[int]) -> None:
    """At least two; each group is used only where those before it are busy."""
    made = groups(with_instances(asking(per_core), usable))
    assert [group.count for group in made] == counts
    priorities = [group.rate_limiter.priority for group in made]
    assert priorities == sorted(set(priorities))
    assert {group.kind for group in made} == {ModelInstanceGroup.KIND_CPU}


def test_a_count_set_by_hand_stays() -> None:
    """To the letter, where the parameter is taken out."""
    assert with_instances(FIXED, 16) == FIXED


@pytest.mark.parametrize("text", [asking("many"), asking("inf"), asking("nan"), "name: a b {"])
def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    """With its path, before Triton starts."""
    file = tmp_path / "models/a/configs/cpu.pbtxt"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(TritonFailed, match=r"a/configs/cpu\.pbtxt: "):
        lay_out(tmp_path / "models", tmp_path / "target", cores=2)


def test_everything_else_is_the_repositorys_own(tmp_path: Path) -> None:
    """Files and versions by link, so that nothing is copied, and nothing of the repository is written."""
    before = {path: path.stat().st_mtime_ns for path in PROJECTS.rglob("*")}
    lay_out(PROJECTS, tmp_path / "models", cores=4)
    assert {path: path.stat().st_mtime_ns for path in PROJECTS.rglob("*")} == before
    for model in ("face_analysis", "face_detector", "image_decoder"):
        for name in ("config.pbtxt", "1"):
            assert (tmp_path / "models" / model / name).resolve() == (PROJECTS / model / name).resolve()
    detector = (tmp_path / "models/face_detector/configs/cpu.pbtxt").read_text()
    assert sum(group.count for group in groups(detector)) == 4


def test_openvino_is_asked_for_as_nvidias_backend_is(tmp_path: Path) -> None:
    """Of the models that are named, beside all else that their configurations say."""
    lay_out(PROJECTS, tmp_path / "models", cores=2, openvino={"face_embedder"})
    files = {name: (tmp_path / f"models/{name}/configs/cpu.pbtxt") for name in ("face_detector", "face_embedder")}
    read = {name: text_format.Parse(file.read_text(), ModelConfig()) for name, file in files.items()}
    assert not read["face_detector"].HasField("optimization")
    (accelerator,) = read["face_embedder"].optimization.execution_accelerators.cpu_execution_accelerator
    assert (accelerator.name, dict(accelerator.parameters)) == ("openvino", {"precision": "BF16"})
    read["face_embedder"].ClearField("optimization")
    assert read["face_embedder"] == text_format.Parse(
        with_instances((PROJECTS / "face_embedder/configs/cpu.pbtxt").read_text(), 2), ModelConfig()
    )


def test_the_graphs_alone_can_be_run_by_either_library(tmp_path: Path) -> None:
    """Their configurations, as the JSON that a backend gets; without one that names its accelerator itself."""
    found = undecided(PROJECTS)
    assert set(found) == {"face_detector", "face_embedder"}
    assert json.loads(found["face_detector"])["input"] == [
        {"name": "image", "data_type": "TYPE_UINT8", "dims": ["640", "640", "3"]}
    ]
    lay_out(PROJECTS, tmp_path / "models", cores=2, openvino={"face_embedder"})
    assert set(undecided(tmp_path / "models")) == {"face_detector"}
    file = tmp_path / "broken/a/configs/cpu.pbtxt"
    file.parent.mkdir(parents=True)
    file.write_text("name: a b {")
    with pytest.raises(TritonFailed, match=r"a/configs/cpu\.pbtxt: "):
        undecided(tmp_path / "broken")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [({}, 64), ({".": "max 100000"}, 64), ({"a/b": "150000 100000"}, 2), ({"a": "400000 100000", "a/b": "max 1"}, 4)],
)
def test_a_containers_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], expected: int
) -> None:
    """Its own or that of a group above it, rounded up; without one, the cores that the process is bound to."""
    (tmp_path / "a/b").mkdir(parents=True)
    for folder, limit in limits.items():
        (tmp_path / folder / "cpu.max").write_text(limit + "\n")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "_OWN_CGROUP", own)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(64)))
    assert cores.usable_cores() == expected
