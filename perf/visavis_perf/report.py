"""``perf/RESULTS.md``: written from a results file and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visavis_perf.ratios import peer_throughput
from visavis_perf.triton_statistics import ENSEMBLE, STAGES

_MET = {True: "yes", False: "**no**", None: "–"}


def write_report(record: Mapping[str, Any], path: Path, curves: Sequence[str]) -> None:
    """Write the page; ``curves`` are pictures, by their paths from it."""
    sections = [
        _head(record),
        _targets(record),
        _limits(record),
        _http(record),
        _scenarios(record),
        _stages(record),
        _peer(record),
        "\n".join(f"![{Path(name).stem}]({name})" for name in curves),
    ]
    path.write_text("\n\n".join(filter(None, sections)) + "\n", "utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; floats get three significant digits, None a dash."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def _head(record: Mapping[str, Any]) -> str:
    machine = record["machine"]
    units = ", ".join(machine["units"]) or "no wide vector units"
    cards = "; ".join(machine["gpu"]) or "no GPU"
    kind = (
        ""
        if record["whole"]
        else " **Not to be relied on: quick, of some steps only, ended early, or on a machine that did other work.**"
    )
    drift = record.get("drift")
    moved = f" Between beginning and end the limit itself moved by {100 * drift:+.1f} %." if drift is not None else ""
    if "fault" in record:
        moved += f" It ended early: {' '.join(record['fault'].split())[:200]}"
    used = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return (
        "# Results\n\nWritten by `visavis bench`; do not edit. `README.md` beside this page says how to read it.\n\n"
        f"{record['made']}, revision {record['revision']}.{kind}{moved}\n\n"
        f"{machine['processor']}, {machine['cores']} cores ({units}), {machine['memory_gib']} GiB, {cards}.\n\n{used}."
    )


def _targets(record: Mapping[str, Any]) -> str:
    rows = [(row["number"], row["what"], row["wanted"], row["got"], _MET[row["met"]]) for row in record["targets"]]
    return "## Target beside result\n\n" + table(("", "What", "Target", "Result", "Met"), rows)


def _limits(record: Mapping[str, Any]) -> str:
    rows = [
        (name, found["runtime"], found["images_per_s"], *(found["core_ms"][part] for part in found["core_ms"]))
        for name, found in record["limits"].items()
    ]
    tried = "; ".join(
        f"{name}: " + ", ".join(f"{runtime} {rate:.1f}" for runtime, rate in found["tried"].items())
        for name, found in record["limits"].items()
    )
    head = ("Pictures", "Best runtime", "images/s", "decode, core-ms", "detect", "embed")
    return f"## The limit\n\n{table(head, rows)}\n\nTried, images/s: {tried}."


def _http(record: Mapping[str, Any]) -> str:
    rows = []
    for name, curve in record.get("http", {}).items():
        best = curve["best"]
        if best is None:
            rows.append((name, curve["limit_per_s"], "no load was served", None, None, None, None))
        else:
            shown = (best["goodput"], best["of_limit"], best["p50_ms"], best["p99_ms"], best["wrong"])
            rows.append((name, curve["limit_per_s"], *shown))
    if not rows:
        return ""
    head = ("Contract, pictures", "Limit, requests/s", "Best load, good/s", "of limit", "p50 ms", "p99 ms", "wrong")
    return "## HTTP, open loop\n\n" + table(head, rows) + "\n\n" + _errors(record)


def _errors(record: Mapping[str, Any]) -> str:
    """Kinds of answer at every offered rate, all contracts."""
    rows = [
        (name, point["rate"], point["goodput"], point["p50_ms"], point["p99_ms"], _kinds(point["kinds"]))
        for name, curve in record["http"].items()
        for point in curve["curve"]
    ]
    return table(("", "offered/s", "good/s", "p50 ms", "p99 ms", "answers"), rows)


def _kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda row: -row[1]))


def _scenarios(record: Mapping[str, Any]) -> str:
    rows = []
    for name, scenario in record.get("scenarios", {}).items():
        flag = scenario["sweep"].lstrip("-").replace("-range", "")
        for point in scenario["points"]:
            shown = (point["images_per_s"], point["p50_ms"], point["p99_ms"])
            rows.append((name, f"{flag} {point['value']}", *shown, _windows(point["windows"])))
        rows += [(name, fault[:100], None, None, None, "fault") for fault in scenario["faults"]]
    if not rows:
        return ""
    return "## Through perf_analyzer\n\n" + table(("Scenario", "", "images/s", "p50 ms", "p99 ms", "windows"), rows)


def _windows(rates: Sequence[float]) -> str:
    return f"{min(rates):.3g} … {max(rates):.3g}" if rates else ""


def _stages(record: Mapping[str, Any]) -> str:
    """Mean milliseconds of a picture at each contract's best load, and of the ensemble without HTTP."""
    sections = []
    for name, curve in record.get("http", {}).items():
        if curve.get("stages"):
            own = ", ".join(f"{key} {value:.3g} ms" for key, value in curve["proxy"].items())
            sections.append(
                f"{name} at its best load:\n\n{_stage_table(curve['stages'])}\n\nProxy, mean: {own or '–'}."
            )
    ensemble = record.get("scenarios", {}).get("ensemble", {})
    for value in [point["value"] for point in ensemble.get("points", [])]:
        sections.append(f"ensemble, {value} at once:\n\n{_stage_table(ensemble['stages'][value])}")
    return "## Where each millisecond goes\n\n" + "\n\n".join(sections) if sections else ""


def _stage_table(stages: Mapping[str, Mapping[str, float]]) -> str:
    parts = ("queue", "input", "infer", "output", "total", "between", "batch")
    rows = [(name, *(stages[name].get(part) for part in parts)) for name in (*STAGES, ENSEMBLE) if name in stages]
    return table(("Stage, ms a request", *parts), rows)


def _peer(record: Mapping[str, Any]) -> str:
    rows = []
    for name, title in (
        ("peer", "at the service's detector size"),
        ("peer_not_enlarged", "small pictures as they are"),
    ):
        best = record.get(name, {}).get("best")
        if best:
            shown = (best["goodput"], best["of_limit"], best["p99_ms"], peer_throughput(record, name))
            rows.append((title, *shown))
    if not rows:
        return ""
    head = ("Peer", "Best load, compares/s", "of limit", "p99 ms", "the service does times as much")
    return "## The peer\n\n`baselines/afternoon.py`, 250×250 pictures.\n\n" + table(head, rows)
