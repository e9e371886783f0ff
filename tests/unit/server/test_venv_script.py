"""``requirements/venv.sh``: what it says when there is no Python for it, and that it leaves a finished venv alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "requirements" / "venv.sh"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    shutil.copy(SCRIPT, tmp_path / "requirements")
    for name in ("requirements/serve.txt", "requirements/dev.txt", "pyproject.toml"):
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def run(project: Path, python: str = "") -> subprocess.CompletedProcess[str]:
    command = ["sh", "requirements/venv.sh", "serve"]
    environment = {**os.environ, "PYTHON": python}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def finish(project: Path, lock: str) -> None:
    """A venv as a successful run for that lock leaves it."""
    command = project / ".venv" / "bin" / "visavis"
    command.parent.mkdir(parents=True)
    command.touch(0o755)
    made_from = (project / "requirements" / f"{lock}.txt").read_bytes() + (project / "pyproject.toml").read_bytes()
    (project / ".venv" / ".made-from").write_text(f"{lock} {hashlib.sha256(made_from).hexdigest()}\n")


@pytest.mark.parametrize("lock", ["serve", "dev"])
def test_a_finished_venv_is_left_alone(project: Path, lock: str) -> None:
    finish(project, lock)
    done = run(project, "/nowhere/python")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_lock_installs_again(project: Path) -> None:
    finish(project, "serve")
    (project / "requirements" / "serve.txt").write_text("# another\n")
    assert run(project, "/nowhere/python").returncode == 1


def test_without_a_python_it_says_what_to_install(project: Path) -> None:
    done = run(project, "/nowhere/python")
    assert done.returncode == 1
    assert done.stderr.startswith("visavis: there is no Python: apt-get install python3 python3-venv libpython3.11")


def test_an_unsupported_python_is_named(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\necho 'old-python is Python 3.9, but Triton needs 3.11 or 3.12'\n")
    old.chmod(0o755)
    done = run(project, str(old))
    assert done.returncode == 1
    assert done.stderr == "visavis: old-python is Python 3.9, but Triton needs 3.11 or 3.12\n"
