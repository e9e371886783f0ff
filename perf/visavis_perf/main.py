"""The command: ``visavis bench`` runs it as ``python -m visavis_perf``."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from visavis_perf import bench as bench_module
from visavis_perf import machine, results
from visavis_perf.check import Checked, again_where_worse, once
from visavis_perf.child import LimitFailed
from visavis_perf.peer_weights import PeerWeightsMissing
from visavis_perf.perf_analyzer import PerfAnalyzerFailed, find_perf_analyzer
from visavis_perf.pictures import PicturesMissing
from visavis_perf.places import PERF, RESULTS
from visavis_perf.plan import Plan
from visavis_perf.ratios import Change, Ratio, ratios
from visavis_perf.results import NoResults, PlaceUnusable
from visavis_perf.scenario_files import ScenarioInvalid
from visavis_perf.service import ServiceFailed
from visavis_perf.variants_command import FAILURES as VARIANTS_FAILURES
from visavis_perf.variants_command import variants
from visavis_server.errors import TritonMissing

_FAILURES = (
    *(LimitFailed, NoResults, PeerWeightsMissing, PerfAnalyzerFailed),
    *(PicturesMissing, PlaceUnusable, ScenarioInvalid, ServiceFailed, TritonMissing),
    *VARIANTS_FAILURES,
)
#: Steps of a check: those whose ratios are compared and whose load does not take minutes by itself.
_CHECKED = ("idle", "ensemble", "ensemble-1mp", "facepp", "jdcloud", "aliyun", "peer")
#: Of `check`, beside 0 and 1: the machine moved too much for a verdict.
_UNDECIDED = 3
console = Console()
app = typer.Typer(
    help="Measure the service against the limit of this machine. `run` is the bench itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Undecided(Exception):
    """Nothing got worse for sure, but too little could be judged."""


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
    extended: Annotated[
        bool, typer.Option("--extended", help="Also what no target is judged by; takes longer.")
    ] = False,
    pictures: Pictures = None,
) -> None:
    """Measure, write perf/results/<date>-<machine>.json and perf/RESULTS.md, and print target beside result."""
    known = bench_module.steps()
    wanted = scenarios or []
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}. Known: {', '.join(known)}")
    if set(wanted) - {*bench_module.HTTP_STEPS, *bench_module.OTHER_STEPS}:
        # Whoever names a scenario is told at once; a whole bench leaves such steps out.
        find_perf_analyzer()
    results.check_writable(RESULTS, PERF)
    plan = Plan.short() if quick else Plan.full()
    record = bench_module.measure(plan, wanted, _say, source=pictures, extended=extended)
    path = results.write(record)
    report(path)
    _print_targets(record["targets"])
    _say(f"written: {path}")
    _end_early(record)
    _fail_with_faults(record)


@app.command()
def report(
    file: Annotated[Path | None, typer.Argument(help="A results file.  [default: the newest]")] = None,
) -> None:
    """Write perf/RESULTS.md and the curves again from a results file."""
    from visavis_perf.curves import draw
    from visavis_perf.report import write_report

    path = file or results.newest()
    record = results.read(path)
    # A quick or partial run leaves the committed page alone, and so does a card: the page is of a processor's targets.
    committed = record["whole"] and not machine.card_serves(record["machine"])
    page = PERF / "RESULTS.md" if committed else path.with_suffix(".md")
    folder = RESULTS if committed else path.parent
    drawn = [(folder / name).relative_to(page.parent).as_posix() for name in draw(record, folder, path.stem)]
    write_report(record, page, drawn)


@app.command()
def check(
    new: Annotated[Path | None, typer.Option(help="Results to judge.  [default: a quick bench now]")] = None,
    old: Annotated[
        Path | None, typer.Option(help="Results to compare with.  [default: the newest committed of such a machine]")
    ] = None,
) -> None:
    """Fail where a share of the limit, of the bare time or of the peer got worse beyond noise.

    What comes out worse is measured again, twice at most, unless --new names what to judge.
    """
    told = results.read(new) if new else None
    if old:
        name, before = old.name, results.read(old)
    else:
        name, before = results.committed(told["machine"] if told else machine.describe())
    if told is None:
        results.check_writable(RESULTS)
        first = _measured(Plan.short(), _CHECKED)
        found = again_where_worse(before, first, partial(_measured, Plan.full()), _say)
    else:
        found = once(before, told)
    _tell_changes(name, before, found)
    if new and found.worse:
        command = shlex.join(["visavis", "bench", "check", *(["--old", str(old)] if old else [])])
        _say(f"One bench alone may mislead. `{command}` measures anew, and again what comes out worse.")
    _end_by(found)


def _measured(plan: Plan, steps: Sequence[str], again: int = 0) -> dict[str, Any]:
    """Measured for a check, and written under a name of its own however it ended."""
    # With a time of its own: what decides must be free to repeat a disturbed run, and to offer more or less.
    told = bench_module.measure(plan, steps, _say, began=time.monotonic() if again else None)
    _say(f"written: {results.write(told, RESULTS, again=again)}")
    _end_early(told)
    return told


def _tell_changes(name: str, before: Mapping[str, Any], found: Checked) -> None:
    if not found.changes:
        raise NoResults(f"{name} and the new results have no ratio in common")
    console.print(f"against {name}, revision {before['revision']}", highlight=False)
    _print_changes(found.changes)
    not_now = sorted({ratio.name for ratio in ratios(before)} - {change.name for change in found.changes})
    if not_now:
        _say(f"not measured now, so not compared: {', '.join(not_now)}")


def _end_by(found: Checked) -> None:
    for record in found.records:
        _fail_with_faults(record)
    if found.worse:
        raise typer.Exit(1)
    if found.unconfirmed:
        names = ", ".join(found.unconfirmed)
        raise Undecided(
            f"{names} came out worse, and was not measured again on a machine that stood still: check again"
        )
    changes = found.changes
    judged = sum(change.worse is not None for change in changes)
    if 2 * judged < len(changes):
        unsteady = f"only {judged} of {len(changes)} ratios could be judged"
        raise Undecided(f"{unsteady}, for the machine moved during the others: measure again")


def _end_early(record: Mapping[str, Any]) -> None:
    """A bench that did not come to its end is told so, and fails, with what it had measured written."""
    if record.get("stopped"):
        raise KeyboardInterrupt
    if "fault" in record:
        raise ServiceFailed(record["fault"])


def _fail_with_faults(record: Mapping[str, Any]) -> None:
    """Runs without figures were told when they happened, and the page has them; the last word tells that there are."""
    faults = {name: len(told["faults"]) for name, told in record.get("scenarios", {}).items() if told["faults"]}
    if faults:
        counted = ", ".join(f"{name} {count}" for name, count in faults.items())
        raise PerfAnalyzerFailed(f"perf_analyzer's runs without figures: {counted}")


def _print_changes(changes: Sequence[Change]) -> None:
    words = {True: "[red]worse[/red]", False: "ok", None: "unsteady: no verdict"}
    shown = Table("Ratio", "Before", "Now", "Noise", "Measured", "")
    shown.columns[0].no_wrap = True
    # What got worse stands above.
    for change in sorted(changes, key=lambda change: not change.worse):
        now = "no figure" if change.now is None else f"{change.now:.3g}"
        measured = " ".join(map(_shown, change.measured)) if len(change.measured) > 1 else "once"
        noise = f"± {change.noise:.2g}"
        shown.add_row(change.name, f"{change.before:.3g}", now, noise, measured, words[change.worse])
    console.print(shown)


def _shown(measured: Ratio) -> str:
    """One of several; in round brackets where it does not count, for the machine moved."""
    value = f"{measured.value:.3g}" if isfinite(measured.value) else "none"
    return value if measured.steady else f"({value})"


@app.command()
def soak(minutes: Annotated[float, typer.Option(help="How long.", min=1.0)] = 20.0) -> None:
    """Half the limit for a long time; fails unless it is answered and the memory of every process stays flat."""
    from visavis_perf.soak import soak as run

    told = run(minutes, _say)
    console.print_json(json.dumps(told))
    _say(f"written: {results.write_soak(told)}")
    for fault in told["faults"]:
        console.print(fault, style="red", highlight=False)
    if told["faults"]:
        raise typer.Exit(1)


app.command()(variants)


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
        assert met is None or isinstance(met, bool)  # noqa: S101 (as targets.Target has it)
        shown.add_row(str(row["number"]), str(row["what"]), str(row["wanted"]), str(row["got"]), words[met])
    console.print(shown)


def main() -> None:
    """``visavis bench [scenario…]`` is ``run``; all others go by their names."""
    # As after Ctrl-C: what was started is stopped, and what was measured is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    subcommands = {"run", "check", "soak", "variants", "report", "steps"}
    given = sys.argv[1:]
    if "--help" not in given and not subcommands.intersection(given[:1]):
        given = ["run", *given]
    try:
        app(args=given, prog_name="visavis bench")
    except _FAILURES as error:
        typer.echo(f"visavis bench: {error}", err=True)
        raise SystemExit(1) from error
    except Undecided as error:
        typer.echo(f"visavis bench: {error}", err=True)
        raise SystemExit(_UNDECIDED) from error
    except KeyboardInterrupt:
        typer.echo("visavis bench: stopped", err=True)
        raise SystemExit(128 + signal.SIGINT) from None
