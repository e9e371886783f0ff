"""What a page says of variants: a table between two marks of a document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from visavis_perf import results
from visavis_perf.machine import short_name
from visavis_perf.places import RESULTS
from visavis_perf.results import NoResults, exchange
from visavis_perf.tables import table
from visavis_perf.variants import ENSEMBLE, FACEPP, JDCLOUD

FOLDER = RESULTS / "variants"
#: A document has each of them on a line of its own.
BEGIN, END = "<!-- variants -->", "<!-- end of variants -->"
#: A smaller difference is none, however well the turns agree.
_LEAST = 0.02
#: Records have four decimals.
_ROUNDED = 1e-3
#: Variants that change nothing begin so.
UNCHANGED = "unchanged"
#: What is counted, and of which loads.
_KINDS = {"pictures": (ENSEMBLE,), "comparisons over HTTP": (FACEPP, JDCLOUD)}


class DocumentUnfit(Exception):
    """A document without the marks; the text says what to write there."""


def write(record: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write a record as ``<date>-<machine>.json``; a partial one does not replace a whole one."""
    kind = "" if record["whole"] else "-partial"
    path = folder / f"{record['made'][:10]}-{short_name(record['machine'])}{kind}.json"
    exchange(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def read(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        NoResults: the file is none.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NoResults(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict) or not {"variants", "machine", "made"} <= record.keys():
        raise NoResults(f"{path} holds no results of variants")
    return record


def figure(told: Mapping[str, Any], noise: float = 0.0) -> str:
    """A ratio with its turns' extremes; bold where all of them lie on one side of 1, ``?`` where it is unsteady.

    ``noise``: how far from 1 the product came beside itself; a turn within it shows nothing.
    """
    shares = _counted(told)
    lowest, highest = min(shares), max(shares)
    beyond = 1 + max(noise, _LEAST) <= lowest or highest <= 1 - max(noise, _LEAST)
    shown = f"**{told['share']:.2f}**" if told["steady"] and beyond else f"{told['share']:.2f}"
    return f"{shown} ({lowest:.2f}–{highest:.2f}){'' if told['steady'] else ' ?'}"


def _counted(told: Mapping[str, Any]) -> list[float]:
    """The turns that the ratio is the median of: those with agreeing neighbours, or all where these are too few."""
    every = [one["share"] for one in told["runs"]]
    agreeing = [one["share"] for one in told["runs"] if one["steady"]]
    return agreeing if agreeing and abs(median(agreeing) - told["share"]) < _ROUNDED else every


def _noise(variants: Mapping[str, Mapping[str, Any]], what: str) -> float:
    """The farthest turn from 1 of the product beside itself."""
    beside_itself = [row for name, row in variants.items() if name.startswith(UNCHANGED) and "fault" not in row]
    return max((abs(share - 1) for row in beside_itself for share in _counted(row[what])), default=0.0)


def page(record: Mapping[str, Any]) -> str:
    """The table, with what it was measured on."""
    on = record["machine"]
    units = f", {on['units'][-1]}" if on.get("units") else ""
    head = (
        f"{record['made'][:10]}, revision {record['revision']}, {on['cores']} cores ({on['processor']}{units}): "
        "variant over unchanged."
    )
    return f"{head}\n\n" + "\n\n".join(
        _of_kind(kind, rows)
        for kind, loads in _KINDS.items()
        if (rows := {name: row for name, row in record["variants"].items() if row["load"] in loads})
    )


def _of_kind(kind: str, variants: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    measures = ("throughput", "one_at_a_time")
    noise = {what: _noise(variants, what) for what in measures}
    for name, row in variants.items():
        served = "fault" not in row
        figures = [figure(row[what], noise[what]) for what in measures] if served else ["not served", None]
        rows.append((row["chosen"], row["instead"], f"`{name}`", *figures))
    return table(("Chosen", "Instead", "Variant", f"{kind}/s", "time of one at a time"), rows)


def check_document(path: Path) -> None:
    """Asked before the work, which takes minutes.

    Raises:
        DocumentUnfit: it is missing, or the marks are not there once each, in their order.
    """
    _parts(path)


def write_document(record: Mapping[str, Any], path: Path) -> None:
    """Put the table between the marks; all else stays.

    Raises:
        DocumentUnfit: see check_document.
    """
    before, after = _parts(path)
    exchange(path, f"{before}{BEGIN}\n{page(record)}\n{END}{after}".encode())


def _parts(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise DocumentUnfit(f"{path} cannot be read: {error.strerror}") from error
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed) or BEGIN in rest or END in after:
        raise DocumentUnfit(f"{path} needs a line {BEGIN} and, below it, a line {END}: the table goes between them")
    return before, after


def check_writable() -> None:
    """See results.check_writable."""
    results.check_writable(FOLDER)
