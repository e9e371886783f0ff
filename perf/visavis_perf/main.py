"""The command: ``visavis bench`` runs it as ``python -m visavis_perf``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from visavis_perf import bench as bench_module
from visavis_perf import results
from visavis_perf.limit import LimitFailed, cores
from visavis_perf.machine import has_gpu
from visavis_perf.peer_weights import PeerWeightsMissing
from visavis_perf.perf_analyzer import PerfAnalyzerFailed, find_perf_analyzer
from visavis_perf.pictures import PicturesMissing
from visavis_perf.places import PERF, RESULTS
from visavis_perf.plan import Plan, Run
from visavis_perf.ratios import compare, ratios
from visavis_perf.results import NoResults
from visavis_perf.scenario_files import ScenarioInvalid
from visavis_perf.service import ServiceFailed

_FAILURES = (
    *(LimitFailed, NoResults, PeerWeightsMissing, PerfAnalyzerFailed),
    *(PicturesMissing, ScenarioInvalid, ServiceFailed),
)
console = Console()
app = typer.Typer(
    help="Measure the service against the limit of this machine. `run` is the bench itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Pictures = Annotated[
    Path | None,
    typer.Option(
        help="Directory of portraits.  [default: the research photographs beside the checkout, else two portraits]",
        exists=True,
        file_okay=False,
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Some minutes, with more noise.")]


def _say(text: str) -> None:
    console.print(text, style="dim", highlight=False)


@app.command("run")
def bench(
    scenarios: Annotated[list[str] | None, typer.Argument(help="Steps by name; all without one.")] = None,
    quick: Quick = False,
    extended: Annotated[bool, typer.Option("--extended", help="Scenarios marked extended as well.")] = False,
    pictures: Pictures = None,
) -> None:
    """Measure, write perf/results/<date>-<machine>.json and perf/RESULTS.md, and print target beside result."""
    known = bench_module.steps()
    wanted = scenarios or []
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}. Known: {', '.join(known)}")
    if not wanted or set(wanted) - {*bench_module.HTTP_STEPS, *bench_module.OTHER_STEPS}:
        find_perf_analyzer()
    plan = Plan.short() if quick else Plan.full()
    record = bench_module.measure(Run(plan, pictures), wanted, _say, extended=extended)
    path = results.write(record)
    report(path)
    _print_targets(record["targets"])
    _say(f"written: {path}")
    if "fault" in record:
        raise ServiceFailed(record["fault"])


@app.command()
def report(
    file: Annotated[Path | None, typer.Argument(help="A results file.  [default: the newest]")] = None,
) -> None:
    """Write perf/RESULTS.md and the curves again from a results file."""
    from visavis_perf.curves import draw
    from visavis_perf.report import write_report

    path = file or results.newest(cores=cores(), gpu=has_gpu())
    record = results.read(path)
    # A quick or partial run leaves the committed page alone.
    page = PERF / "RESULTS.md" if record["whole"] else path.with_suffix(".md")
    folder = RESULTS if record["whole"] else path.parent
    drawn = [(folder / name).relative_to(page.parent).as_posix() for name in draw(record, folder, path.stem)]
    write_report(record, page, drawn)


@app.command()
def check(
    new: Annotated[Path | None, typer.Option(help="Results to judge.  [default: a quick bench now]")] = None,
    old: Annotated[Path | None, typer.Option(help="Results to compare with.  [default: the newest committed]")] = None,
) -> None:
    """Fail where a ratio to the limit, to the bare time or to the peer got worse beyond noise."""
    before = results.read(old or results.newest(cores=cores(), gpu=has_gpu()))
    if new is None:
        wanted = ("peer", "idle", "ensemble", "ensemble-1mp", *bench_module.HTTP_STEPS)
        now = bench_module.measure(Run(Plan.short(), None), wanted, _say)
        if "fault" in now:
            raise ServiceFailed(now["fault"])
    else:
        now = results.read(new)
    changes = compare(ratios(before), ratios(now))
    if not changes:
        raise NoResults("the two results have no ratio in common")
    shown = Table("Ratio", "Before", "Now", "Noise", "")
    for change in changes:
        verdict = "[red]worse[/red]" if change.worse else "ok"
        shown.add_row(change.name, f"{change.before:.3g}", f"{change.now:.3g}", f"± {change.noise:.2g}", verdict)
    console.print(shown)
    if any(change.worse for change in changes):
        raise typer.Exit(1)


@app.command()
def soak(minutes: Annotated[float, typer.Option(help="How long.", min=0.2)] = 20.0) -> None:
    """Half the limit for a long time; fails unless the memory of every process stays flat and no answer is wrong."""
    from visavis_perf.soak import soak as run

    told = run(minutes, _say)
    console.print_json(json.dumps(told))
    if told["wrong"] or not told["processes"] or not all(row["flat"] for row in told["processes"]):
        raise typer.Exit(1)


@app.command("steps")
def list_steps() -> None:
    """What `run` can be asked for by name."""
    for name in bench_module.steps():
        console.print(name, highlight=False)


def _print_targets(rows: list[dict[str, object]]) -> None:
    shown = Table("", "What", "Target", "Result", "Met")
    words = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "–"}
    for row in rows:
        met = row["met"]
        assert met is None or isinstance(met, bool)  # noqa: S101 (as ratios.Target has it)
        shown.add_row(str(row["number"]), str(row["what"]), str(row["wanted"]), str(row["got"]), words[met])
    console.print(shown)


def main() -> None:
    """``visavis bench [scenario…]`` is ``run``; ``check``, ``soak``, ``report`` and ``steps`` go by their names."""
    subcommands = {"run", "check", "soak", "report", "steps"}
    given = sys.argv[1:]
    if "--help" not in given and not subcommands.intersection(given[:1]):
        given = ["run", *given]
    try:
        app(args=given)
    except _FAILURES as error:
        typer.echo(f"visavis bench: {error}", err=True)
        raise SystemExit(1) from error
