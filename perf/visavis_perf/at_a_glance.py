"""Is it fast? A few lines that answer before any table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visavis_perf.peer_latency import peer_latency
from visavis_perf.ratios import peer_throughput
from visavis_perf.samples import Latencies
from visavis_perf.targets import NOT_MEASURED

#: Less than this share of what was offered is hardly any.
_FEW = 0.01
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
    unsteady = "" if best["steady"] else ", unsteady"
    yield (
        f"On {where}: at the most **{best['goodput']:.3g} Face++ comparisons a second** over HTTP, 250×250 pictures"
        f"{_within(best)}{_refused(best)}. That is {best['share']:.3g} of what these cores could do with the bare "
        f"models{unsteady}."
    )
    yield from _with_room(record.get("twice_the_peer"))


def _within(latencies: Mapping[str, Any]) -> str:
    """Half, and the highest percentile that is known."""
    known = [name for name in _HOW_MANY if latencies.get(name) is not None]
    shown = [*known[:1], *known[-1:]] if len(known) > 1 else known
    return "".join(f", {_HOW_MANY[name]} within {latencies[name]:.0f} ms" for name in shown)


def _refused(best: Mapping[str, Any]) -> str:
    """A best load may lie beyond the capacity: it counts by its good answers."""
    share = refused(best)
    return f", while {share:.0%} of what was offered was refused" if share >= _FEW else ", hardly any refused"


def refused(best: Mapping[str, Any]) -> float:
    """The share of what was offered at a best load that got no good answer in its time."""
    return max(0.0, 1 - float(best["goodput"] / best["rate"]))


def _with_room(told: Mapping[str, Any] | None) -> Iterator[str]:
    """At a load below the capacity, which is also where it takes turns with the peer."""
    within = _within(Latencies.of(told.get("ours_s", ())).as_dict()) if told else ""
    if not told or not within or told["answered"] < 1 - _FEW or told.get("wrong"):
        return
    offered = told["offered"] * told["times"]
    yield f"At {offered:.2g} of the limit, where hardly any is refused{within}."


def _peer(record: Mapping[str, Any]) -> Iterator[str]:
    times = peer_throughput(record)
    if not times:
        return
    beside = peer_latency(record, "beside_peer")
    slowest = f". At that service's own best load our p{beside.percent} is {beside.ratio:.2g} of its" if beside else ""
    yield f"**{times:.3g} times** the comparisons of a simple service with the same weights, the peer{slowest}."


def _met(record: Mapping[str, Any]) -> Iterator[str]:
    judged = [row for row in record["targets"] if row["wanted"] != "–"]
    if not judged:
        return
    met, missed = (sum(row["met"] is verdict for row in judged) for verdict in (True, False))
    absent = sum(row["got"].startswith(NOT_MEASURED) for row in judged)
    told = f"{met} met, {len(judged) - met - missed - absent} undecided, {missed} missed"
    yield f"Of {len(judged)} targets: **{told}**{f', {absent} not measured' if absent else ''}."
