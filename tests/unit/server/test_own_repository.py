"""A command that names no model repository takes its own checkout's, or else the data directory's; nothing it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

from visavis_server import own_repository as places
from visavis_server.own_programs import module_command


def test_a_checkout_comes_first_from_whatever_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the data directory holds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "model_repository").mkdir(parents=True)
    assert places.checkout() == ROOT
    assert places.default_repository(tmp_path / "data") == ROOT / "model_repository"


def installed(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """As if the package lay there, and not in this checkout."""
    monkeypatch.setattr(places, "__file__", str(home / "visavis_server" / "own_repository.py"))


@pytest.mark.parametrize("beside", [True, False])
def test_from_a_wheel_it_is_the_data_directory_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    """Not the current folder's: its Python files would be run. Nor one that lies where a checkout would have it."""
    packages = tmp_path / "lib" / "site-packages"
    installed(monkeypatch, packages)
    (tmp_path / "downloads" / "model_repository").mkdir(parents=True)
    if beside:
        (packages.parent / "model_repository").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "downloads")
    assert places.checkout() is None
    assert places.default_repository(tmp_path / "data") == tmp_path / "data" / "model_repository"


def test_a_checkout_without_a_repository_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path / "server")
    assert places.checkout() is None
    (tmp_path / "model_repository").mkdir()
    assert places.checkout() == tmp_path


#: Imported by each of the two programs, and by Python itself.
TRAPS = ("visavis_export/__main__.py", "visavis_accuracy/__main__.py", "typer.py", "numpy.py", "json.py")


@pytest.mark.parametrize("command", [["packs"], ["export", "--help"], ["pairs", "--help"], ["evaluate", "--help"]])
def test_no_module_of_the_current_folder_is_run(tmp_path: Path, command: list[str]) -> None:
    """By no program that a command hands over to, or starts."""
    trapped = tmp_path / "downloads"
    for name in TRAPS:
        place = trapped / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("import os, sys\nprint('trapped', file=sys.stderr, flush=True)\nos._exit(7)\n")
    script = "import sys; sys.argv[0] = 'visavis'; from visavis_server.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *command],
        cwd=trapped,
        env={**os.environ, "VISAVIS_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "trapped" in done.stderr) == (0, False), done.stderr


def test_a_module_s_arguments_follow_it() -> None:
    assert module_command("a.b", "--c", "d")[-4:] == ["-m", "a.b", "--c", "d"]
