"""``requirements/venv.sh``: what it says when there is no Python for it, and that it leaves a finished venv alone."""

from __future__ import annotations

import hashlib
import os
import re
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


#: A Python whose pip says what a real one says of four packages, and ends as PIP_STATUS tells it to.
PYTHON_WITH_PIP = """#!/bin/sh
case "$*" in
*--require-hashes*)
    echo "Looking in indexes: somewhere"
    for name in $(seq 30); do
        echo "Collecting package$name==1.0 (from -r requirements/serve.txt (line $name))"
        echo "  Downloading package$name-1.0-py3-none-any.whl (94 kB)"
    done
    echo "  Downloading large-1.0-py3-none-any.whl (512.3 MB)"
    if [ "$PIP_STATUS" != 0 ]; then
        echo "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES" >&2
        exit "$PIP_STATUS"
    fi
    echo "Installing collected packages: package1, package2"
    ;;
esac
"""


@pytest.fixture
def with_pip(project: Path) -> Path:
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON_WITH_PIP)
    python.chmod(0o755)
    return project


def test_an_installation_shows_a_few_lines_of_pips_many(with_pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count, the large file and the time; pip's own words are kept in a file."""
    monkeypatch.setenv("PIP_STATUS", "0")
    done = run(with_pip)
    assert done.returncode == 0, done.stderr
    lines = [re.sub(r"\d+ s", "0 s", line) for line in done.stdout.splitlines()]
    assert lines == [
        "visavis: installing what requirements/serve.txt names; pip writes to .venv/install.log",
        "visavis:   after 0 s: 25 packages looked up",
        "visavis:   after 0 s: downloading large-1.0-py3-none-any.whl (512.3 MB)",
        "visavis:   after 0 s: installing 30 packages",
    ]
    assert "Looking in indexes" in (with_pip / ".venv" / "install.log").read_text()
    assert (with_pip / ".venv" / ".made-from").read_text().startswith("serve ")


def test_an_installation_that_fails_shows_what_pip_said(with_pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing passes for finished, and the next run tries again."""
    monkeypatch.setenv("PIP_STATUS", "2")
    done = run(with_pip)
    assert done.returncode == 1
    assert "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert done.stderr.endswith(
        "visavis: the packages could not be installed; the end of .venv/install.log stands above\n"
    )
    assert not (with_pip / ".venv" / ".made-from").exists()


def test_an_unsupported_python_is_named(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\necho 'old-python is Python 3.9, but Triton needs 3.11 or 3.12'\n")
    old.chmod(0o755)
    done = run(project, str(old))
    assert done.returncode == 1
    assert done.stderr == "visavis: old-python is Python 3.9, but Triton needs 3.11 or 3.12\n"
