"""``resolution``: what the aligner's look at the whole picture gains and costs, beside one at the detector's frame."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from visavis_accuracy.bootstrap import Interval
from visavis_accuracy.files import check_writable, write_json
from visavis_accuracy.photographs import CollectionInvalid, Photograph, at_most_per_person, read_directory
from visavis_accuracy.pipeline import Pipeline
from visavis_accuracy.resolution import RATE, Rate, Row, locate, measure
from visavis_accuracy.scenes import FRAME
from visavis_accuracy.terminal import Directory, Repository, Triton, console, progress_bar, read_models, say
from visavis_client.faces import ModelIdentity
from visavis_client.opening import open_engine

#: Heights in the frame. 0 stands for photographs as they are.
HEIGHTS = [0.0, 96.0, 64.0, 48.0, 32.0, 24.0]
#: Half of what is found even with a second look; nothing is to be learnt from less.
SMALLEST_PX = 8.0
#: Photographs of each person: mated pairs with little more than half of the work going into them.
EACH = 2


def _checked(heights: list[float]) -> list[float]:
    for height in heights:
        if height != 0 and not SMALLEST_PX <= height <= FRAME:
            raise typer.BadParameter(f"{height:g} is neither 0 nor a height of {SMALLEST_PX:g} to {FRAME} pixels")
    return heights


def resolution_command(
    directory: Directory,
    triton: Triton = "127.0.0.1:8001",
    model_repository: Repository = Path("model_repository"),
    people: Annotated[int, typer.Option(min=2, help=f"Take so many of those with {EACH} photographs or more.")] = 400,
    face_px: Annotated[
        list[float],
        typer.Option(callback=_checked, help="The face's height in the frame; 0: photographs as they are."),
    ] = HEIGHTS,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the people.")] = 0,
    report: Annotated[Path, typer.Option(help="Where resolution.json goes.")] = Path("build/resolution"),
) -> None:
    """True match rates and time of alignment from the whole picture, and from the detector's frame of 640 pixels."""
    check_writable(report / "resolution.json")
    models, pipeline = read_models(model_repository), Pipeline(model_repository)
    photographs = choose(read_directory(directory), people, seed=seed)
    rows = _measure(photographs, [px or None for px in face_px], triton, ModelIdentity(models["identity"]), pipeline)
    console.print(table_of(rows))
    about = {"data": directory.name, "seed": seed, "false_match_rate": RATE, "identity": models["identity"]}
    write_json(report / "resolution.json", {**about, "rows": [asdict(row) for row in rows]})
    say(f"wrote {report / 'resolution.json'}")


def choose(photographs: Sequence[Photograph], people: int, *, seed: int) -> list[Photograph]:
    """:data:`EACH` photographs of so many people, of all where there are fewer.

    Raises:
        CollectionInvalid: nobody has as many.
    """
    few = at_most_per_person(photographs, EACH)
    names, counts = np.unique([photograph.identity for photograph in few], return_counts=True)
    able = names[counts == EACH]
    if len(able) < 2:
        raise CollectionInvalid(f"at least two people with {EACH} photographs are needed")
    chosen = set(np.random.default_rng(seed).choice(able, min(people, len(able)), replace=False).tolist())
    return [photograph for photograph in few if photograph.identity in chosen]


def _measure(
    photographs: Sequence[Photograph],
    heights: Sequence[float | None],
    triton: str,
    model: ModelIdentity,
    pipeline: Pipeline,
) -> list[Row]:
    async def run(progress: Progress) -> list[Row]:
        engine = open_engine(triton, model=model, timeout_s=30)
        task = progress.add_task("answers", total=len(photographs) * (1 + 2 * len(heights)))

        def done(answers: int) -> None:
            progress.update(task, advance=answers)

        try:
            known = await locate(photographs, engine, done)
            if not known:
                raise CollectionInvalid("no face was found in any photograph")
            return [await measure(known, height, engine, pipeline, done) for height in heights]
        finally:
            await engine.close()

    with progress_bar() as bar:
        return asyncio.run(run(bar))


def table_of(rows: Sequence[Row]) -> Table:
    """Rates with intervals, their difference, and core-milliseconds of an alignment."""
    title = f"Alignment from the picture, and from the detector's frame: TMR at FMR {RATE:g}"
    table = Table("face, px of the frame", "found", "picture", "frame", "gain", "ms", "ms, frame", title=title)
    for row in rows:
        gain, cutting = row.gain, row.cutting
        table.add_row(
            "as it is" if row.face_px is None else f"{row.face_px:g}",
            f"{row.found} of {row.photographs}",
            _cell(gain.from_picture),
            _cell(gain.from_frame),
            _difference(gain.from_picture, gain.from_frame, gain.interval),
            f"{cutting.from_picture:.2f}",
            f"{cutting.from_frame:.2f}",
        )
    return table


def _cell(rate: Rate) -> str:
    if rate.value is None:
        return "–"
    between = f" ({rate.interval.low:.3f} … {rate.interval.high:.3f})" if rate.interval else ""
    return f"{rate.value:.3f}{between}"


def _difference(one: Rate, other: Rate, interval: Interval | None) -> str:
    if one.value is None or other.value is None:
        return "–"
    between = f" ({interval.low:+.3f} … {interval.high:+.3f})" if interval else ""
    return f"{one.value - other.value:+.3f}{between}"
