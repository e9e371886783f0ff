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
_errors = Console(stderr=True)

Directory = Annotated[Path, typer.Argument(help="A folder per person, as LFW has it.")]
#: `visavis` always names one: the one it was told, that of a running service, or one's own.
Triton = Annotated[
    str,
    typer.Option(
        metavar="[http://]HOST:PORT",
        help="A Triton: gRPC, or HTTP; default: a running service's, or one's own.",
        show_default=False,
    ),
]
Repository = Annotated[Path, typer.Option(help="The model repository that Triton serves.")]
Labels = Annotated[Path | None, typer.Option("--drop", help="JSON: people to leave out, with reasons.")]
Limit = Annotated[int | None, typer.Option(min=2, help="Take a sample of so many photographs.")]


def say(sentence: str, *, style: str | None = None) -> None:
    """One line as it is: nothing in it, a file's name say, is markup, and it is broken nowhere."""
    console.print(sentence, style=style, highlight=False, markup=False, soft_wrap=True)


def warn(sentence: str) -> None:
    """As :func:`say`, on stderr: what must be seen where the output goes to a file, too."""
    _errors.print(f"warning: {sentence}", style="bold yellow", highlight=False, markup=False, soft_wrap=True)


def progress_bar() -> Progress:
    """With the count and the time that is left."""
    return Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=console)


def read_dropped(file: Path | None, root: Path) -> dict[str, str]:
    """People to leave out, and why: those of a JSON object who have a folder; tells whom it names in vain.

    Raises:
        CollectionInvalid: it cannot be read.
    """
    if file is None:
        return {}
    try:
        listed = {str(name): str(reason) for name, reason in json.loads(file.read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise CollectionInvalid(f"{file} is not a JSON object of names and reasons: {error}") from error
    people = {folder.name for folder in root.iterdir() if folder.is_dir()} if root.is_dir() else set()
    present = {name: reason for name, reason in listed.items() if name in people}
    if absent := sorted(listed.keys() - present.keys()):
        say(f"{file} names people without a folder in {root}: {', '.join(absent)}")
    return present


def read_models(repository: Path) -> dict[str, Any]:
    """``models.json``.

    Raises:
        CollectionInvalid: there is none to read, or it lacks what tells one pack's graphs from another's.
    """
    path = repository / "models.json"
    try:
        models = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CollectionInvalid(f"{path} cannot be read ({error}); run `visavis export` first") from error
    for names in (("identity",), ("detector", "sha256"), ("embedder", "sha256")):
        found = models
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, str):
            raise CollectionInvalid(f"{path} does not say {' '.join(names)}; run `visavis export --force`")
    return dict(models)
