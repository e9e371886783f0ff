"""Where each millisecond of a request goes: the caller's, the proxy's and Triton's clocks, divided without a rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visavis_perf.proxy_metrics import ProxyTimes
from visavis_perf.tables import table
from visavis_perf.triton_statistics import STEPS, divided_ms

#: Less than this in every column is not worth a row.
_LEAST_MS = 0.02
#: So many of the rows that add most are named below an idle picture's table.
_NAMED = 4
#: Rows that are not a stage of the proxy or a step of Triton.
OUTSIDE, WAY, LATER = "outside the proxy", "proxy ↔ Triton", "the later picture"
#: Of the proxy's stages, what comes before and after the engine.
_BEFORE, _AFTER = ("read", "parse", "verify", "state", "fetch"), ("answer", "send")
_TITLES = {
    "read": "read the body",
    "parse": "parse: form, JSON, base64, picture headers",
    "verify": "verify: key and signature",
    "state": "state: nonce, rate, face tokens",
    "answer": "answer: compare and render",
    "send": "send",
    OUTSIDE: "outside the proxy: caller, sockets, waiting for the worker",
    WAY: "proxy ↔ Triton: HTTP there and back, event loop",
    LATER: "the later of two pictures",
}
_HOW = (
    "Means of a request that was answered, in milliseconds; each column adds up to its first row, from when a request "
    "was due to its answer's last byte, and nothing is left over. The proxy's stages are its own "
    "(`visavis_stage_seconds_total`); decode to embed and *between steps* are Triton's statistics of **one picture**: "
    "both pictures of a comparison are in Triton at once, so a comparison takes as long as its slower picture, and "
    "*the later of two pictures* is how much longer that is than a picture's mean. *Queue* is waiting for a free "
    "instance. Under full load nearly all of it, and much of every step's own time, is waiting for a core."
)
_IDLE = (
    "Triton's rows are its traces of {pictures} pictures, and the bare work's those of its turns, both without the "
    "fastest and the slowest quarter; *to* a step is its way there from the step before, *queue* its wait for an "
    "instance. The others are means of the same requests. *More* is what the service adds."
)
_BATCHES = "Rows of a picture and of an execution, by model: faces embedded, and how many the batcher merged."


def divided_request_ms(
    caller_ms: float, proxy: ProxyTimes, inside_ms: float, inside: Mapping[str, float]
) -> dict[str, float]:
    """A request's mean by rows that add up to ``caller_ms``.

    ``inside``: a picture's time in Triton, ``inside_ms``, by rows. One below 0 says that two clocks were read over
    different requests.
    """
    stages = proxy.stages_ms
    rows = {OUTSIDE: caller_ms - sum(stages.values())}
    rows |= {stage: stages[stage] for stage in _BEFORE if stage in stages}
    rows |= {WAY: proxy.picture_ms - inside_ms, **inside}
    rows |= {LATER: stages.get("engine", 0.0) - proxy.picture_ms}
    rows |= {stage: stages[stage] for stage in _AFTER if stage in stages}
    return {row: round(spent, 4) for row, spent in rows.items()}


def typical_ms(pictures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each row over the middle half of the pictures by their whole time: unlike medians, the rows add up."""
    ordered = sorted(pictures, key=lambda rows: sum(rows.values()))
    half = ordered[len(ordered) // 4 : len(ordered) - len(ordered) // 4]
    return {row: round(sum(one[row] for one in half) / len(half), 4) for row in half[0]}


def columns(record: Mapping[str, Any]) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Rows of each load over HTTP, and of each point of the ensemble without it."""
    http = {name: load["milliseconds"] for name, load in record.get("http", {}).items() if load.get("milliseconds")}
    ensemble = record.get("scenarios", {}).get("ensemble", {})
    closed = {
        f"{point['value']} at once": divided_ms(ensemble["stages"][point["value"]])
        for point in ensemble.get("points", [])
        if ensemble["stages"].get(point["value"])
    }
    return http, closed


def section(record: Mapping[str, Any]) -> str:
    """The page's section; empty where nothing was measured."""
    http, closed = columns(record)
    parts = []
    if http:
        parts += [_shown("Best load over HTTP, ms", http), _HOW, _batches(record, list(http))]
    if closed:
        parts.append(_shown("The ensemble without HTTP, ms a picture", closed))
    for contract, title in (
        ("aws", "One picture, an idle service (AWS), ms"),
        ("facepp", "A comparison, an idle service (Face++), ms"),
    ):
        told = idle_pair(record, contract)
        if told:
            parts.append(_idle(title, *told))
    return "## Where each millisecond goes\n\n" + "\n\n".join(parts) if parts else ""


def idle_pair(record: Mapping[str, Any], contract: str) -> tuple[Mapping[str, Any], Mapping[str, float]] | None:
    """What was traced of an idle service, and the same work bare by the same rows; None without a trace.

    Of a comparison the bare work's later picture has its row, too.
    """
    idle = record.get("idle", {})
    traced = idle.get("traced" if contract == "aws" else f"traced_{contract}")
    if not traced:
        return None
    row = idle["contracts"][contract]
    bare = row.get("bare_parts_ms", {})
    if bare and contract != "aws":
        bare = {**bare, LATER: round(row["bare_p50_ms"] - sum(bare.values()), 4)}
    return traced, bare


def added_ms(rows: Mapping[str, float], bare: Mapping[str, float]) -> list[tuple[float, str]]:
    """What a service adds to the bare work, the most first."""
    return sorted(((spent - bare.get(row, 0.0), row) for row, spent in rows.items()), reverse=True)


def named(row: str) -> str:
    """A row in words, without what it consists of."""
    return _TITLES.get(row, row).split(":")[0]


def _idle(title: str, traced: Mapping[str, Any], bare: Mapping[str, float]) -> str:
    """An idle service's request beside the same work with nothing around it."""
    if "missing" in traced:
        return f"No trace of an idle service's pictures: {traced['missing']}."
    rows: Mapping[str, float] = traced["milliseconds"]
    whole, bare_whole = sum(rows.values()), sum(bare.values()) if bare else None
    body = [("**whole**", whole, bare_whole, whole - bare_whole if bare_whole else None)]
    for row, spent in rows.items():
        beside = bare.get(row)
        if abs(spent) >= _LEAST_MS:
            body.append((_TITLES.get(row, row), spent, beside, spent - (beside or 0.0)))
    added = added_ms(rows, bare)[:_NAMED]
    most = f"Most of it: {', '.join(f'{row} {spent:.2g} ms' for spent, row in added)}." if bare else ""
    shown = table((title, "service", "bare", "more"), body)
    return f"{shown}\n\n{_IDLE.format(pictures=traced['pictures'])} {most}".rstrip()


def _shown(title: str, loads: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for rows in loads.values() for name in rows))
    kept = [name for name in names if any(abs(rows.get(name, 0.0)) >= _LEAST_MS for rows in loads.values())]
    body = [(_TITLES.get(name, name), *(rows.get(name) for rows in loads.values())) for name in kept]
    whole = ("**whole**", *(sum(rows.values()) for rows in loads.values()))
    return table((title, *loads), [whole, *body])


def _batches(record: Mapping[str, Any], names: list[str]) -> str:
    rows = []
    for model, step in STEPS.items():
        told = [record["http"][name]["stages"].get(model, {}) for name in names]
        rows.append((f"{step}: rows a picture", *(one.get("rows") for one in told)))
        rows.append((f"{step}: rows an execution", *(one.get("batch") for one in told)))
    kept = [row for row in rows if any(value not in (None, 1) for value in row[1:])]
    return f"{_BATCHES}\n\n{table(('', *names), kept)}" if kept else ""
