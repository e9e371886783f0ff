"""Is it fast? Three lines that answer before any table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visavis_perf.peer_latency import peer_latency
from visavis_perf.ratios import peer_throughput
from visavis_perf.targets import NOT_MEASURED

_HOW_MANY = {"p50_ms": "half", "p95_ms": "95 in 100", "p99_ms": "99 in 100"}


def at_a_glance(record: Mapping[str, Any]) -> str:
    """What a record has of: comparisons a second and their latencies, the peer, and how many targets are met."""
    return "\n".join(f"* {line}" for line in (*_speed(record), *_peer(record), *_met(record)))


def _speed(record: Mapping[str, Any]) -> Iterator[str]:
    curve = record.get("http", {}).get("facepp-250")
    if not curve:
        return
    machine, best = record["machine"], curve["best"]
    where = f"{machine['cores']} cores ({machine['processor'].strip()})"
    if best is None or not best["serves"]:
        yield f"On {where} no load of Face++ comparisons was served."
        return
    within = [f"{words} within {best[name]:.0f} ms" for name, words in _HOW_MANY.items() if best.get(name) is not None]
    if len(within) > 2:
        del within[1]
    unsteady = "" if best["steady"] else ", unsteady"
    yield (
        f"On {where}: **{best['goodput']:.3g} Face++ comparisons a second** over HTTP, 250×250 pictures"
        f"{''.join(f', {one}' for one in within)}. That is {best['share']:.3g} of what these cores could do with the "
        f"bare models{unsteady}."
    )


def _peer(record: Mapping[str, Any]) -> Iterator[str]:
    times = peer_throughput(record)
    if not times:
        return
    beside = peer_latency(record, "beside_peer")
    slowest = f"; at the peer's own best load p{beside.percent} is {beside.ratio:.2g} of the peer's" if beside else ""
    yield f"**{times:.3g} times** the comparisons of a service of an afternoon with the same weights{slowest}."


def _met(record: Mapping[str, Any]) -> Iterator[str]:
    judged = [row for row in record["targets"] if row["wanted"] != "–"]
    if not judged:
        return
    met, missed = (sum(row["met"] is verdict for row in judged) for verdict in (True, False))
    absent = sum(row["got"].startswith(NOT_MEASURED) for row in judged)
    told = f"{met} met, {len(judged) - met - missed - absent} undecided, {missed} missed"
    yield f"Of {len(judged)} targets: **{told}**{f', {absent} not measured' if absent else ''}."
