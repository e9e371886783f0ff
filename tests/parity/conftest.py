"""One real export for all tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visavis_export.repository import Repository

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def export() -> Command:
    """``export(repository, "--force")``: the command as a user runs it; keywords go to ``subprocess.run``."""

    def run(repository: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "visavis_export", "--model-repository", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, **settings)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, export: Command) -> Repository:
    """A repository fresh from the default pack. Tests that change one copy it first."""
    root = tmp_path_factory.mktemp("exported")
    done = export(root)
    assert done.returncode == 0, done.stdout + done.stderr
    return Repository(root)
