"""What the commands that compare templates share: which photographs count, and their templates from Triton or cache."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer
from rich.progress import Progress

from visavis_accuracy.photographs import Photograph, at_most_per_person, read_directory
from visavis_accuracy.report import some_of
from visavis_accuracy.templates import CONCURRENCY, Enrolled, Subject, TemplateCache, enrol, maker_of
from visavis_accuracy.terminal import progress_bar, say
from visavis_client.opening import open_engine

Face = Annotated[Subject, typer.Option(help="Which face of a photograph is the person it is named after.")]
Most = Annotated[
    int, typer.Option("--at-most", min=0, help="Photographs of each person that count, spread evenly; 0: all of them.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep no templates on disk.")]

#: So that no famous face decides the thresholds.
MOST_PER_PERSON = 5


def photographs_of(directory: Path, dropped: Collection[str], at_most: int) -> list[Photograph]:
    """Those of a folder that count.

    Raises:
        CollectionInvalid: as read_directory does.
    """
    return at_most_per_person(read_directory(directory, dropped=dropped), at_most)


def enrol_all(
    photographs: Sequence[Photograph],
    triton: str,
    model_repository: Path,
    models: dict[str, Any],
    subject: Subject,
    no_cache: bool,
    concurrency: int = CONCURRENCY,
) -> Enrolled:
    """Their templates, with a bar that tells how far it is; raises as enrol does."""
    path = None if no_cache else Path(platformdirs.user_cache_dir("visavis")) / "templates.sqlite"
    cache = TemplateCache(path)
    model = maker_of(model_repository, models)

    async def run(progress: Progress) -> Enrolled:
        engine = open_engine(triton, model=model, timeout_s=30)
        task = progress.add_task("photographs", total=len(photographs))
        try:

            def tell(done: int) -> None:
                progress.update(task, completed=done)

            return await enrol(photographs, engine, cache, tell, subject, concurrency=concurrency)
        finally:
            await engine.close()

    try:
        with progress_bar() as bar:
            return asyncio.run(run(bar))
    finally:
        cache.close()


def tell_unreadable(enrolled: Enrolled) -> None:
    """Where a command's own report does not: a folder of broken files must not look like a smaller one."""
    if enrolled.unreadable:
        say(f"unreadable: {some_of(enrolled.unreadable, '`visavis evaluate` names them all')}")
