"""``visavis calibrate``: thresholds from one's own photographs, at the rates that they can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from visavis_accuracy.bootstrap import between
from visavis_accuracy.calibration import CalibratedPoint, calibrate, document, warning
from visavis_accuracy.enrolment import MOST_PER_PERSON, Face, Most, NoCache, enrol_all, photographs_of, tell_unreadable
from visavis_accuracy.evaluation import found_only
from visavis_accuracy.files import check_writable, write_json
from visavis_accuracy.photographs import digest
from visavis_accuracy.rates import RATES
from visavis_accuracy.scores import count_pairs
from visavis_accuracy.templates import Subject
from visavis_accuracy.terminal import (
    Directory,
    Labels,
    Repository,
    Triton,
    console,
    read_dropped,
    read_models,
    say,
    warn,
)
from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoint, OperatingPoints
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import VENDOR_SCALES


def calibrate_command(
    directory: Directory,
    triton: Triton = "127.0.0.1:8001",
    model_repository: Repository = Path("model_repository"),
    drop: Labels = None,
    name: Annotated[str | None, typer.Option(help="What to call the data set; default: the folder's name.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Default: operating_points.json in the model repository, which this leaves as it is."),
    ] = None,
    at_most: Most = MOST_PER_PERSON,
    face: Face = Subject.CENTRAL,
    no_cache: NoCache = False,
) -> None:
    """Thresholds per false match rate from your own photographs.

    It takes some 450 photographs with a face, at most five of each person, for the rate of 1e-4 that every contract
    needs; with fewer nothing is written. A threshold at 1e-5 takes some 1,450 photographs, at 1e-6 some 4,500: where
    there are fewer these are left out, and the contracts continue the line through the last two points.
    """
    path = output or model_repository / "operating_points.json"
    check_writable(path)
    models, dropped = read_models(model_repository), read_dropped(drop, directory)
    photographs = photographs_of(directory, dropped, at_most)
    enrolled = enrol_all(photographs, triton, model_repository, models, face, no_cache)
    tell_unreadable(enrolled)
    with console.status("comparing all pairs"):
        vectors, identities = found_only(photographs, enrolled)
        scores = count_pairs(vectors, identities)
        points = calibrate(scores, identities)
    table = _table(points, _as_read(points, ModelIdentity(models["identity"])))
    data = {
        "name": name or directory.name,
        "digest": digest(photographs, enrolled.contents),
        "photographs": int(enrolled.found.sum()),
        "identities": len(set(identities.tolist())),
        "photographs_per_person": at_most or None,
        "dropped": dropped,
    }
    write_json(path, document(points, scores, models=models, data=data))
    console.print(table)
    if told := warning(points, scores):
        warn(told)
    say(f"wrote {path}")


def _as_read(points: Sequence[CalibratedPoint], model: ModelIdentity) -> OperatingPoints:
    """What the contracts will read.

    Raises:
        OperatingPointsInvalid: it carries no scale of one of them, continued as far as that goes.
    """
    read = OperatingPoints(tuple(OperatingPoint(p.false_match_rate, p.threshold) for p in points), model, "")
    for printed in VENDOR_SCALES.values():
        ScoreScale(read, printed)
    return read


def _table(points: Sequence[CalibratedPoint], read: OperatingPoints) -> Table:
    """For the terminal, with what the contracts will make of the rates that have no point."""
    table = Table("FMR", "threshold", "95 %", "", title=f"Operating points of {read.model}")
    found = {point.false_match_rate: point for point in points}
    for rate in RATES:
        if point := found.get(rate):
            origin = "extrapolated" if point.extrapolated else "measured"
            table.add_row(f"{rate:.0e}", f"{point.threshold:.4f}", between(point.interval), origin)
        else:
            table.add_row(f"{rate:.0e}", f"{read.threshold(rate):.4f}", between(None), "not written: continued")
    return table
