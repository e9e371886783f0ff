"""What the commands share: the terminal, the options that mean the same everywhere, and the record of the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from visavis_accuracy.photographs import CollectionInvalid

console = Console()

Directory = Annotated[Path, typer.Argument(help="A folder per person, as LFW has it.")]
#: `visavis` always names one: the one it was told, that of a running service, or one's own.
Triton = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="gRPC of a Triton; default: a running service's, or one's own.",
        show_default=False,
    ),
]
Repository = Annotated[Path, typer.Option(help="The model repository that Triton serves.")]
Limit = Annotated[int | None, typer.Option(min=2, help="Take a sample of so many photographs.")]


def progress_bar() -> Progress:
    """With the count and the time that is left."""
    return Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=console)


def read_models(repository: Path) -> dict[str, Any]:
    """``models.json``.

    Raises:
        CollectionInvalid: there is none to read.
    """
    path = repository / "models.json"
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise CollectionInvalid(f"{path} cannot be read ({error}); run `visavis export` first") from error
