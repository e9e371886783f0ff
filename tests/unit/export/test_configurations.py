"""The served configurations follow the pack, and a new repository gets them all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from visavis_export.configurations import PROJECTS, Served, configurations, is_complete
from visavis_export.errors import RepositoryUnwritable
from visavis_export.pack import load_pack
from visavis_export.repository import Repository


def configurations_of(model: str) -> tuple[str, ...]:
    """`config.pbtxt`, then `configs/cpu.pbtxt`, then what else there is."""
    return tuple(sorted(path.relative_to(PROJECTS).as_posix() for path in (PROJECTS / model).rglob("*.pbtxt")))


CONFIGS, ALIGNERS = configurations_of("face_embedder"), configurations_of("face_aligner")


@pytest.fixture
def whole(tmp_path: Path) -> Repository:
    """The project's repository as it is checked in."""
    ignored = shutil.ignore_patterns("*.onnx", "*.json", "__pycache__", ".export*")
    return Repository(Path(shutil.copytree(PROJECTS, tmp_path / "models", ignore=ignored)))


def lengths(configuration: bytes) -> list[int]:
    (output,) = text_format.Parse(configuration.decode(), ModelConfig()).output
    return list(output.dims)


def second_look(configuration: bytes) -> str:
    return text_format.Parse(configuration.decode(), ModelConfig()).parameters["second_look"].string_value


def test_the_checked_in_files_are_the_default_packs(whole: Repository) -> None:
    """128 numbers, and a second look."""
    pack = load_pack("opencv")
    assert configurations(whole, Served(pack.embedder.dimensions or 0, pack.detector.second_look)) == {}


@pytest.mark.parametrize("dimensions", [1, 256, 512, 1000])
def test_only_the_number_changes(whole: Repository, dimensions: int) -> None:
    """In all configurations of the embedder, and back again byte for byte."""
    before = {name: whole.read(name) for name in CONFIGS}
    changed = configurations(whole, Served(dimensions))
    assert set(changed) == set(CONFIGS)
    for name, data in changed.items():
        assert lengths(data) == [dimensions]
        (line,) = set(data.splitlines()) - set((before[name] or b"").splitlines())
        assert b'name: "embedding"' in line
        (whole.root / name).write_bytes(data)
    assert configurations(whole, Served(dimensions)) == {}
    assert configurations(whole, Served(128)) == before


def test_a_pack_without_a_second_look_switches_it_off(whole: Repository) -> None:
    """In all configurations of the aligner, nothing else of them changes, and on again byte for byte."""
    before = {name: whole.read(name) for name in ALIGNERS}
    changed = configurations(whole, Served(128, second_look=False))
    assert set(changed) == set(ALIGNERS)
    for name, data in changed.items():
        assert second_look(data) == "off"
        (line,) = set(data.splitlines()) - set((before[name] or b"").splitlines())
        assert b'"second_look"' in line
        (whole.root / name).write_bytes(data)
    assert configurations(whole, Served(128, second_look=False)) == {}
    assert configurations(whole, Served(128)) == before


def test_an_empty_folder_becomes_a_whole_repository(tmp_path: Path) -> None:
    """Every hand-written file of the project's, the length already the pack's; then there is nothing left to write."""
    repository = Repository(tmp_path / "new")
    files = configurations(repository, Served(512, second_look=False))
    for name, data in files.items():
        (repository.root / name).parent.mkdir(parents=True, exist_ok=True)
        (repository.root / name).write_bytes(data)
    written = {
        path.relative_to(PROJECTS).as_posix() for suffix in ("pbtxt", "py") for path in PROJECTS.rglob(f"*.{suffix}")
    }
    assert {name for name in files if not name.endswith(".gitkeep")} == written
    assert all(lengths(files[name]) == [512] for name in CONFIGS)
    assert all(second_look(files[name]) == "off" for name in ALIGNERS)
    assert (repository.root / "face_analysis" / "1").is_dir()
    assert is_complete(repository)
    assert configurations(repository, Served(512, second_look=False)) == {}


def test_another_releases_files_are_replaced_where_that_is_asked_for(whole: Repository) -> None:
    """A changed module and a changed configuration, which still follows the pack; nothing else."""
    module, configuration = "face_aligner/1/alignment.py", CONFIGS[1]
    ours = {name: whole.read(name) or b"" for name in (module, configuration)}
    whole.root.joinpath(module).write_bytes(b"# of another release\n")
    whole.root.joinpath(configuration).write_bytes(ours[configuration].replace(b"[ 128 ]", b"[ 512 ]") + b"# old\n")
    assert configurations(whole, Served(128)).keys() == {configuration}
    assert configurations(whole, Served(128), refresh=True) == ours


def test_a_users_own_settings_stay(whole: Repository) -> None:
    """What else was written into a configuration, and a configuration of another name, are kept."""
    own = (whole.read(CONFIGS[1]) or b"").replace(b"count: 2", b"count: 7")
    (whole.root / "face_embedder/configs/large.pbtxt").write_bytes(own)
    changed = configurations(whole, Served(512))
    assert changed["face_embedder/configs/large.pbtxt"] == own.replace(b"[ 128 ]", b"[ 512 ]")


@pytest.mark.parametrize(
    ("name", "wording"),
    [
        (CONFIGS[0], r"write dims: \[ 512 \] in its output `embedding` there"),
        (ALIGNERS[1], "write parameters .* there"),
    ],
)
def test_a_configuration_that_does_not_say_it_is_one_sentence(whole: Repository, name: str, wording: str) -> None:
    """Better no export than one that the server refuses."""
    (whole.root / name).write_text('name: "a_model"')
    with pytest.raises(RepositoryUnwritable, match=f"^{whole.root / name} does not say .*{wording}"):
        configurations(whole, Served(512))
