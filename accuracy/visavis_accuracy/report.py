"""What an evaluation leaves behind: a table on the terminal, JSON, two plots and one self-contained page."""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from visavis_accuracy.bootstrap import between
from visavis_accuracy.evaluation import Evaluation, RateRow
from visavis_accuracy.files import write_json, write_text
from visavis_accuracy.plots import det_curve, save, score_histogram
from visavis_accuracy.stage_times import StageTime, StageTimes

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid #e5e7eb; text-align: right;
  font-variant-numeric: tabular-nums }}
td {{ white-space: nowrap }} .words td {{ white-space: normal }}
th {{ font-weight: 600 }} th:first-child, td:first-child, .words * {{ text-align: left }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem }} dt {{ color: #6b7280 }}
dd {{ margin: 0 }}
svg {{ max-width: 100%; height: auto }} code {{ overflow-wrap: anywhere }}
</style></head><body>
<h1>{title}</h1>
<dl>{facts}</dl>
<h2>Rates</h2>
<table><tr><th>false match rate</th><th>threshold</th><th>95 % interval</th>
<th>true match rate</th><th>95 % interval</th><th>false non-match rate</th></tr>
{rows}</table>
<p>The false non-match rate is what the true match rate leaves of 1, and so is its interval. Intervals: identities
resampled with replacement; a dash where the data carry no figure.</p>
{times}<h2>Trade-off</h2>{det}
<h2>Scores</h2>{histogram}
{dropped}</body></html>
"""


def terminal_table(evaluation: Evaluation) -> Table:
    """Rates with intervals."""
    table = Table(title="Rates over all pairs")
    for heading in ("FMR", "threshold", "95 %", "TMR", "95 %", "FNMR"):
        table.add_column(heading, justify="right")
    for row in evaluation.rows:
        table.add_row(*_cells(row))
    return table


TIMES_HEADINGS = ("stage", "inferences", "of", "compute", "queue")


def times_table(times: StageTimes) -> Table:
    """Where the time went inside Triton."""
    table = Table(title="Inside Triton", caption=times_note(times), caption_justify="left")
    for heading in TIMES_HEADINGS:
        table.add_column(heading, justify="left" if heading in {"stage", "of"} else "right")
    for stage in times.stages:
        table.add_row(*_times_cells(stage))
    return table


def times_note(times: StageTimes) -> str:
    """What the times are of."""
    return (
        f"Means of what Triton executed meanwhile for everybody: {times.pictures:,} pictures, {times.own_pictures:,} "
        "of them this run's. Compute: an inference's share of its batch's execution; queue: a request's wait before "
        "it. Both grow with the pictures under way at once."
    )


def _times_cells(stage: StageTime) -> tuple[str, ...]:
    return stage.stage, f"{stage.inferences:,}", stage.unit, f"{stage.compute_ms:.2f} ms", f"{stage.queue_ms:.2f} ms"


def facts(evaluation: Evaluation, about: Mapping[str, Any]) -> dict[str, str]:
    """What else there is to say, by name."""
    said = {
        "data": str(about.get("name", "")),
        "models": str(about.get("identity", "")),
        "photographs": f"{evaluation.photographs:,} of {evaluation.identities:,} people" + _limit(about),
        "without a face": f"{len(evaluation.without_face)}",
        "unreadable": some_of(evaluation.unreadable, "evaluation.json names them all"),
        "pairs": f"{evaluation.scores.mated_pairs:,} mated, {evaluation.scores.non_mated_pairs:,} non-mated",
        "equal error rate": "–" if evaluation.equal_error_rate is None else f"{evaluation.equal_error_rate:.4%}",
        "data digest": evaluation.data_digest,
    }
    if small := evaluation.too_small_for:
        said["too small for"] = small
    if dropped := about.get("dropped"):
        said["left out"] = f"{_people(dropped)} for the reasons that the report lists"
    if evaluation.fold_accuracy is not None:
        mean, deviation = evaluation.fold_accuracy
        said[f"{evaluation.folds}-fold accuracy"] = f"{mean:.2%} ± {deviation:.2%}"
    if evaluation.analysed:
        rate = evaluation.analysed / evaluation.seconds
        said["speed"] = (
            f"{rate:.1f} pictures/s, {1000 / rate:.1f} ms each with {evaluation.concurrency} under way at once"
        )
    if evaluation.stage_times is None:
        why = "Triton gave no statistics of the whole run" if evaluation.analysed else "no picture was asked of Triton"
        said["times"] = f"{why}; times unknown"
    return said


def some_of(names: Sequence[str], where: str) -> str:
    """How many, the first three of them, and where the others stand."""
    if not names:
        return "0"
    return f"{len(names):,}: {', '.join(names[:3])}" + (f", …; {where}" if len(names) > 3 else "")


def _limit(about: Mapping[str, Any]) -> str:
    most = about.get("photographs_per_person")
    return f", at most {most} of each" if most else ""


def _people(names: Collection[str]) -> str:
    return f"{len(names):,} people" if len(names) != 1 else "1 person"


def as_json(evaluation: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """The figures for programs."""
    return {
        **about,
        "rates": [_rate_json(row) for row in evaluation.rows],
        "equal_error_rate": evaluation.equal_error_rate,
        "folds": evaluation.folds,
        "fold_accuracy": evaluation.fold_accuracy,
        "mated_pairs": evaluation.scores.mated_pairs,
        "non_mated_pairs": evaluation.scores.non_mated_pairs,
        "photographs": evaluation.photographs,
        "identities": evaluation.identities,
        "without_face": evaluation.without_face,
        "unreadable": evaluation.unreadable,
        "data_digest": evaluation.data_digest,
        "analysed": evaluation.analysed,
        "concurrency": evaluation.concurrency,
        # Null: not known, because Triton was not asked (all templates were cached) or did not tell.
        "stage_times": asdict(evaluation.stage_times) if evaluation.stage_times else None,
        "pictures_per_second": evaluation.analysed / evaluation.seconds if evaluation.analysed else None,
    }


def _rate_json(row: RateRow) -> dict[str, Any]:
    missed = row.false_non_match_interval
    return {
        **asdict(row),
        "false_non_match_rate": row.false_non_match_rate,
        "false_non_match_interval": asdict(missed) if missed else None,
    }


def write(evaluation: Evaluation, about: Mapping[str, Any], folder: Path) -> list[Path]:
    """All files of a report; the page needs none of the others."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = [*save(det_curve(evaluation), folder / "det"), *save(score_histogram(evaluation), folder / "scores")]
    write_json(folder / "evaluation.json", json.loads(json.dumps(as_json(evaluation, about))))
    page = folder / "evaluation.html"
    write_text(page, _page(evaluation, about, folder))
    return [page, folder / "evaluation.json", *plots]


def _page(evaluation: Evaluation, about: Mapping[str, Any], folder: Path) -> str:
    said = facts(evaluation, about).items()
    return PAGE.format(
        title=html.escape(f"Evaluation on {about.get('name', 'photographs')}"),
        facts="".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in said),
        rows="\n".join(f"<tr>{_row_of(_cells(row))}</tr>" for row in evaluation.rows),
        times=_times_section(evaluation.stage_times) if evaluation.stage_times else "",
        det=_inline(folder / "det.svg"),
        histogram=_inline(folder / "scores.svg"),
        dropped=_dropped_section(dropped) if (dropped := about.get("dropped")) else "",
    )


def _times_section(times: StageTimes) -> str:
    headings = "".join(f"<th>{heading}</th>" for heading in TIMES_HEADINGS)
    rows = "\n".join(f"<tr>{_row_of(_times_cells(stage))}</tr>" for stage in times.stages)
    return f"<h2>Time inside Triton</h2>\n<table><tr>{headings}</tr>\n{rows}</table>\n<p>{times_note(times)}</p>\n"


def _dropped_section(dropped: Mapping[str, str]) -> str:
    rows = "\n".join(f"<tr>{_row_of(each)}</tr>" for each in sorted(dropped.items()))
    return (
        f"<h2>Left out</h2>\n<p>The photographs of {_people(dropped)} are in no figure above.</p>\n"
        f'<table class="words"><tr><th>person</th><th>reason</th></tr>\n{rows}</table>\n'
    )


def _row_of(cells: Sequence[str]) -> str:
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)


def _inline(path: Path) -> str:
    text = path.read_text("utf-8")
    return text[text.index("<svg") :]


def _cells(row: RateRow) -> tuple[str, ...]:
    return (
        f"{row.false_match_rate:.0e}",
        "–" if row.threshold is None else f"{row.threshold:.4f}",
        between(row.threshold_interval),
        "–" if row.true_match_rate is None else f"{row.true_match_rate:.4f}",
        between(row.true_match_interval),
        "–" if row.false_non_match_rate is None else f"{row.false_non_match_rate:.4f}",
    )
