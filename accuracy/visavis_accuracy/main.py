"""``visavis evaluate`` and the other commands that measure, most of them in front of a running Triton."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from visavis_accuracy.calibrate_command import calibrate_command
from visavis_accuracy.calibration import CalibrationImpossible
from visavis_accuracy.checking import check
from visavis_accuracy.contracts import contracts_document, contracts_table, measure_contracts
from visavis_accuracy.crowd import crowd_command
from visavis_accuracy.enrolment import MOST_PER_PERSON, Face, Most, NoCache, enrol_all, photographs_of, tell_unreadable
from visavis_accuracy.evaluation import evaluate, found_only
from visavis_accuracy.files import PlaceUnusable, check_writable, write_json
from visavis_accuracy.pairs_command import pairs_command
from visavis_accuracy.pairs_file import read_pairs
from visavis_accuracy.photographs import CollectionInvalid, sample
from visavis_accuracy.recall_command import recall_command
from visavis_accuracy.report import facts, terminal_table, times_table, write
from visavis_accuracy.resolution_command import resolution_command
from visavis_accuracy.scores import count_pairs
from visavis_accuracy.splits import ALLOWED, check_judged, measure_splits, splits_table
from visavis_accuracy.stage_times import StageClock
from visavis_accuracy.templates import CONCURRENCY, Subject
from visavis_accuracy.terminal import (
    Directory,
    Labels,
    Limit,
    Repository,
    Triton,
    console,
    read_dropped,
    read_models,
    say,
)
from visavis_client.errors import EngineError
from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoints, OperatingPointsInvalid

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

#: What a user can mend; anything else is a fault of this program and shows its traceback.
FAULTS = (CollectionInvalid, CalibrationImpossible, OperatingPointsInvalid, PlaceUnusable, EngineError, OSError)
#: The exit status of what Ctrl-C ends.
STOPPED = 130


@app.command(name="evaluate")
def evaluate_command(
    directory: Directory,
    triton: Triton = "127.0.0.1:8001",
    model_repository: Repository = Path("model_repository"),
    pairs: Annotated[Path | None, typer.Option(help="LFW's pairs.txt: reports its 10-fold accuracy.")] = None,
    drop: Labels = None,
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("build/evaluation"),
    at_most: Most = 0,
    face: Face = Subject.CENTRAL,
    no_cache: NoCache = False,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Pictures under way at once; 1 tells what each stage takes undisturbed.")
    ] = CONCURRENCY,
) -> None:
    """Error rates over all pairs, with intervals: table, JSON, plots and a page."""
    if pairs and (drop or at_most):
        raise CollectionInvalid("--pairs names its photographs itself: leave out --drop and --at-most")
    check_writable(report / "evaluation.json", report / "evaluation.html")
    models, dropped = read_models(model_repository), read_dropped(drop, directory)
    photographs, chosen = read_pairs(pairs, directory) if pairs else (photographs_of(directory, dropped, at_most), None)
    clock = StageClock(triton)
    enrolled = enrol_all(photographs, triton, model_repository, models, face, no_cache, concurrency)
    times = clock.stop(enrolled.answered)
    about = {
        "name": directory.name,
        "identity": models["identity"],
        "photographs_per_person": at_most or None,
        "dropped": dropped,
    }
    with console.status("comparing all pairs"):
        found = evaluate(photographs, enrolled, pairs=chosen, stage_times=times)
    console.print(terminal_table(found))
    for name, value in facts(found, about).items():
        say(f"{name}: {value}")
    if times is not None:
        console.print(times_table(times))
    for path in write(found, about, report):
        say(f"wrote {path}")


@app.command(name="splits")
def splits_command(
    directory: Directory,
    triton: Triton = "127.0.0.1:8001",
    model_repository: Repository = Path("model_repository"),
    drop: Labels = None,
    splits: Annotated[int, typer.Option(min=1, help="How many times the people are halved.")] = 5,
    rate: Annotated[
        list[float] | None,
        typer.Option(help="A false match rate to judge; may be repeated. Default: 1e-3, 1e-4, 1e-5."),
    ] = None,
    at_most: Most = MOST_PER_PERSON,
    face: Face = Subject.CENTRAL,
    no_cache: NoCache = False,
) -> None:
    """Calibrate on half of the people, measure on the other; exit 1 where a rate is off or could not be judged."""
    rates = tuple(sorted(set(rate or ALLOWED), reverse=True))
    if unknown := [one for one in rates if one not in ALLOWED]:
        raise CollectionInvalid(f"--rate {unknown[0]:g}: only 1e-3, 1e-4 and 1e-5 are judged")
    models = read_models(model_repository)
    photographs = photographs_of(directory, read_dropped(drop, directory), at_most)
    enrolled = enrol_all(photographs, triton, model_repository, models, face, no_cache)
    tell_unreadable(enrolled)
    with console.status("comparing all pairs of every half"):
        vectors, identities = found_only(photographs, enrolled)
        rows = measure_splits(vectors, identities, splits=splits, rates=rates)
    if rows:
        console.print(splits_table(rows))
    for one in rates:
        if missing := 2 * splits - sum(row.nominal == one for row in rows):
            say(f"{one:.0e}: not judged in {missing} of {2 * splits}: too few people")
    check_judged(rows, rates, len(set(identities.tolist())), len(identities))
    if not all(row.holds for row in rows):
        raise typer.Exit(1)


@app.command(name="contracts")
def contracts_command(
    directory: Directory,
    triton: Triton = "127.0.0.1:8001",
    model_repository: Repository = Path("model_repository"),
    drop: Labels = None,
    limit: Limit = None,
    report: Annotated[Path, typer.Option(help="Where contracts.json goes.")] = Path("build/contracts"),
    at_most: Most = MOST_PER_PERSON,
    face: Face = Subject.CENTRAL,
    no_cache: NoCache = False,
) -> None:
    """Our false match rate at the thresholds that the vendors print; exit 1 where one is off by more than allowed."""
    check_writable(report / "contracts.json")
    models = read_models(model_repository)
    points = OperatingPoints.load(
        model_repository / "operating_points.json",
        ModelIdentity(models["identity"]),
        detector=models["detector"]["sha256"],
    )
    photographs = sample(photographs_of(directory, read_dropped(drop, directory), at_most), limit)
    enrolled = enrol_all(photographs, triton, model_repository, models, face, no_cache)
    tell_unreadable(enrolled)
    with console.status("comparing all pairs"):
        scores = count_pairs(*found_only(photographs, enrolled))
        rows = measure_contracts(scores, points)
    console.print(contracts_table(rows))
    console.print(f"{scores.non_mated_pairs:,} non-mated pairs; thresholds {points.evidence}", highlight=False)
    about = {"data": directory.name, "non_mated_pairs": scores.non_mated_pairs, "thresholds": points.evidence}
    write_json(report / "contracts.json", {**about, "models": models, "contracts": contracts_document(rows)})
    say(f"wrote {report / 'contracts.json'}")
    if any(row.holds is False for row in rows):
        raise typer.Exit(1)


app.command(name="calibrate")(calibrate_command)
app.command(name="recall")(recall_command)
app.command(name="pairs")(pairs_command)
app.command(name="resolution")(resolution_command)
app.command(name="crowd")(crowd_command)


def faults(error: BaseException) -> Collection[str]:
    """The sentences of an error, or of every error in a group."""
    if isinstance(error, BaseExceptionGroup):
        return {sentence for inner in error.exceptions for sentence in faults(inner)}
    if isinstance(error, OSError):  # a disk is full, say
        return {": ".join(str(part) for part in (error.filename, error.strerror) if part) or repr(error)}
    return {str(error)}


def main() -> None:
    """Run; a fault is one sentence and exit 1, Ctrl-C one and exit 130. With ``--check COMMAND`` see check."""
    try:
        _run()
    except SystemExit as ending:
        if ending.code == STOPPED:  # so typer ends at Ctrl-C, without a word
            say("stopped; run again to go on from here" if _keeps_templates(sys.argv) else "stopped", style="yellow")
        raise


def _run() -> None:
    try:
        if sys.argv[1:2] == ["--check"]:
            check(app, sys.argv[2], sys.argv[3:])
        app(prog_name="visavis")
    except* FAULTS as group:
        for sentence in sorted(faults(group)):
            say(sentence, style="red")
        raise SystemExit(1) from None


def _keeps_templates(line: Sequence[str]) -> bool:
    return set(line[1:2]) <= {"evaluate", "calibrate", "splits", "contracts"} and "--no-cache" not in line
