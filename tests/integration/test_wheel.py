"""The wheel that this repository builds serves and measures without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from running import ROOT

HAND_WRITTEN = {".pbtxt", ".py"}


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that sees the environment as it is, and nothing of this repository by its place."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`visavis`, installed from the wheel beside the packages that are installed here."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    # A line of a .pth file is a place to look; the .pth files there, such as our editable install's, are not read.
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python", "--disable-pip-version-check")
    done = run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    assert done.returncode == 0, done.stderr
    return home / "bin" / "visavis"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_it_holds_what_is_hand_written_and_nothing_that_was_made(wheel: Path) -> None:
    """Every file of the model repository that Triton reads but graphs; packs, digests, licences; not the bench."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    repository = ROOT / "model_repository"
    sources = {p for p in repository.rglob("*") if p.suffix in HAND_WRITTEN or p.name == ".gitkeep"}
    place = "visavis_export/model_repository/"
    assert {name for name in names if name.startswith(place)} == {
        place + path.relative_to(repository).as_posix() for path in sources
    }
    assert not [name for name in names if name.endswith((".onnx", "models.json")) or name.startswith("visavis_perf")]
    packs = {f"visavis_export/packs/{path.name}" for path in (ROOT / "export/visavis_export/packs").iterdir()}
    backend = {f"visavis_server/backends/onnxruntime/{name}.py" for name in ("model", "session", "configuration")}
    assert names >= packs | backend | {"visavis_export/models.lock.toml"}
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_its_commands_answer_in_an_empty_folder(program: Path, empty: Path) -> None:
    """The help, the packs and the version; nothing is written for an answer."""
    data = {"VISAVIS_DATA_DIR": str(empty.parent / "data")}
    assert "serve" in run(program, "--help", cwd=empty, **data).stdout
    assert "\nopencv\n" in "\n" + run(program, "packs", cwd=empty, **data).stdout
    own = empty.parent / "data" / "model_repository"
    assert run(program, "--version", cwd=empty, **data).stdout.endswith(f"no models in {own}\n")
    assert sorted(empty.parent.iterdir()) == [empty]


def test_the_bench_says_that_it_wants_a_checkout(program: Path, empty: Path) -> None:
    done = run(program, "bench", "run", cwd=empty)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "visavis: the bench runs from a checkout of the project alone, where `make bench` starts it\n"


def test_it_runs_nothing_that_lies_in_the_current_folder(program: Path, empty: Path) -> None:
    """Neither a repository's Python files, nor a bench, nor a module that has the name of one of ours."""
    for name in ("model_repository/face_aligner/1/faces.py", "perf/visavis_perf/__main__.py", "numpy.py"):
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_text("raise SystemExit('trapped')\n")
    data = {"VISAVIS_DATA_DIR": str(empty.parent / "data")}
    own = empty.parent / "data" / "model_repository"
    assert run(program, "--version", cwd=empty, **data).stdout.endswith(f"no models in {own}\n")
    told = [run(program, *command, cwd=empty, **data) for command in (("bench", "run"), ("packs",))]
    assert [done.returncode for done in told] == [1, 0]
    assert not [done for done in told if "trapped" in done.stderr]


def test_its_export_fills_a_repository_in_the_data_directory(program: Path, empty: Path) -> None:
    """Graphs, thresholds and every hand-written file; the same models as from the checkout, found again by itself."""
    data = empty.parent / "data"
    done = run(program, "export", cwd=empty, VISAVIS_DATA_DIR=str(data))
    assert done.returncode == 0, done.stderr
    made = data / "model_repository"
    assert (made / "face_detector/1/model.onnx").is_file()
    assert (made / "operating_points.json").is_file()
    for path in (ROOT / "model_repository").rglob("*"):
        if path.suffix in HAND_WRITTEN:
            assert (made / path.relative_to(ROOT / "model_repository")).read_bytes() == path.read_bytes()
    assert (data.stat().st_mode & 0o777, list(empty.iterdir())) == (0o700, [])
    (made / "face_aligner/1/faces.py").write_text("# of another release\n")
    again = run(program, "export", cwd=empty, VISAVIS_DATA_DIR=str(data))
    told, nothing = again.stdout.splitlines()
    assert told == f"{made} has this release's files now, 1 of which were others."
    assert nothing.startswith(f"Nothing to do: {made} holds opencv-")


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [("evaluate", "matplotlib", "accuracy"), ("pairs", "scipy", "accuracy"), ("export", "onnx", "export")],
)
def test_a_missing_extra_is_told_by_its_name(
    program: Path, empty: Path, command: str, missing: str, extra: str
) -> None:
    """In one line, also for the command's help where that needs the package."""
    absent = empty.parent / "absent"
    absent.mkdir()
    (absent / f"{missing}.py").write_text(f"raise ModuleNotFoundError('not here', name={missing!r})\n")
    arguments = ["--force", "--model-repository", empty / "models"] if command == "export" else ["--help"]
    done = run(program, command, *arguments, cwd=empty, PYTHONPATH=str(absent))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: {missing} is missing: install the extra `{extra}` (in the project's folder: pip install '.[{extra}]')"
    ]
