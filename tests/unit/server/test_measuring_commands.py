"""What is wrong with a measuring command's line is told before a Triton is started, or waited for, for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Nobody listens there, which takes its time to find out: a command that gets so far says so.
NOWHERE = "127.0.0.1:9"


def measure(home: Path, *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "visavis_server", *arguments],
        cwd=home,
        env={**os.environ, "VISAVIS_DATA_DIR": str(home / "data"), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", ["evaluate", "resolution"])
def test_photographs_that_are_not_there_come_first(tmp_path: Path, command: str) -> None:
    assert measure(tmp_path, command, "album", "--triton", NOWHERE) == (1, "album is not a directory\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate",), "Missing argument 'directory'"),
        (("calibrate", ".", "--at-most", "many"), "Invalid value for '--at-most'"),
        (("splits", ".", "--split", "5"), "No such option: --split"),
    ],
)
def test_so_does_a_line_that_the_command_does_not_take(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    status, said = measure(tmp_path, *arguments, "--triton", NOWHERE)
    assert status == 2
    assert words in said
    assert "nobody listens" not in said


def test_a_line_that_is_in_order_goes_on_and_its_data_directory_is_the_environments(tmp_path: Path) -> None:
    """A file is where it should be, and what is no model repository does not come first."""
    (tmp_path / "data").write_text("a file")
    status, said = measure(tmp_path, "evaluate", tmp_path)
    assert status == 1
    assert said == f"visavis: {tmp_path / 'data'} cannot be the data directory: File exists\n"
