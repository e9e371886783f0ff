"""The served configurations follow the pack's embedding, and a new repository gets them all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from visavis_export.configurations import PROJECTS, configurations, is_complete
from visavis_export.errors import RepositoryUnwritable
from visavis_export.repository import Repository

CONFIGS = ("face_embedder/config.pbtxt", "face_embedder/configs/cpu.pbtxt")


@pytest.fixture
def whole(tmp_path: Path) -> Repository:
    """The project's repository as it is checked in."""
    ignored = shutil.ignore_patterns("*.onnx", "*.json", "__pycache__", ".export*")
    return Repository(Path(shutil.copytree(PROJECTS, tmp_path / "models", ignore=ignored)))


def lengths(configuration: bytes) -> list[int]:
    (output,) = text_format.Parse(configuration.decode(), ModelConfig()).output
    return list(output.dims)


def test_the_checked_in_length_needs_no_change(whole: Repository) -> None:
    """The default pack's 128."""
    assert configurations(whole, 128) == {}


@pytest.mark.parametrize("dimensions", [1, 256, 512, 1000])
def test_only_the_number_changes(whole: Repository, dimensions: int) -> None:
    """In both configurations of the embedder, and back again byte for byte."""
    before = {name: whole.read(name) for name in CONFIGS}
    changed = configurations(whole, dimensions)
    assert set(changed) == set(CONFIGS)
    for name, data in changed.items():
        assert lengths(data) == [dimensions]
        (line,) = set(data.splitlines()) - set((before[name] or b"").splitlines())
        assert b'name: "embedding"' in line
        (whole.root / name).write_bytes(data)
    assert configurations(whole, dimensions) == {}
    assert configurations(whole, 128) == before


def test_an_empty_folder_becomes_a_whole_repository(tmp_path: Path) -> None:
    """Every hand-written file of the project's, the length already the pack's; then there is nothing left to write."""
    repository = Repository(tmp_path / "new")
    files = configurations(repository, 512)
    for name, data in files.items():
        (repository.root / name).parent.mkdir(parents=True, exist_ok=True)
        (repository.root / name).write_bytes(data)
    written = {
        path.relative_to(PROJECTS).as_posix() for suffix in ("pbtxt", "py") for path in PROJECTS.rglob(f"*.{suffix}")
    }
    assert {name for name in files if not name.endswith(".gitkeep")} == written
    assert all(lengths(files[name]) == [512] for name in CONFIGS)
    assert (repository.root / "face_analysis" / "1").is_dir()
    assert is_complete(repository)
    assert configurations(repository, 512) == {}


def test_a_users_own_settings_stay(whole: Repository) -> None:
    """What else was written into a configuration, and a configuration of another name, are kept."""
    own = (whole.read(CONFIGS[1]) or b"").replace(b"count: 2", b"count: 7")
    (whole.root / "face_embedder/configs/large.pbtxt").write_bytes(own)
    changed = configurations(whole, 512)
    assert changed["face_embedder/configs/large.pbtxt"] == own.replace(b"[ 128 ]", b"[ 512 ]")


def test_a_configuration_without_the_output_is_one_sentence(whole: Repository) -> None:
    """Better no export than one that the server refuses."""
    (whole.root / CONFIGS[0]).write_text('name: "face_embedder"')
    with pytest.raises(RepositoryUnwritable, match=r"write dims: \[ 512 \] there"):
        configurations(whole, 512)
