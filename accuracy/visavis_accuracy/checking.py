"""What can be said of a command before a Triton is started for it: ``python -m visavis_accuracy --check COMMAND …``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperGroup

from visavis_accuracy.photographs import CollectionInvalid


def check(app: typer.Typer, name: str, arguments: Sequence[str]) -> None:
    """Read the command's line as if it were run, look for its photographs, and exit.

    Raises:
        CollectionInvalid: they are in no such directory.
        SystemExit: with 0, or where the line is not as the command wants it, with 2 after the command's own words.
    """
    command = cast(TyperGroup, typer.main.get_command(app)).commands[name]
    command.callback = _look
    command.main(list(arguments), prog_name=f"visavis {name}")


def _look(directory: Path, **_: Any) -> None:
    if not directory.is_dir():
        raise CollectionInvalid(f"{directory} is not a directory")
