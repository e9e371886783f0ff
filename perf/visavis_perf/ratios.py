"""The few numbers that hold on any machine, and whether they got worse."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visavis_perf.peer_latency import fault_of_turns, peer_latency
from visavis_perf.samples import late_generator

#: A ratio may differ by so much of itself without meaning anything, however well its runs agreed.
_NOISE = 0.05
_THROUGHPUT, _P95 = "throughput of peer's", "p95 of peer's"


@dataclass(frozen=True, slots=True)
class Ratio:
    """One number of a result."""

    name: str
    value: float
    #: How far its runs lie apart.
    spread: float
    higher_is_better: bool
    #: Whether the machine stood still enough while it was measured.
    steady: bool = True


def ratios(record: Mapping[str, Any]) -> list[Ratio]:
    """Every ratio that a record holds; what was not measured is left out, a load that nobody served is 0."""
    found = []
    for name, scenario in record.get("scenarios", {}).items():
        # Without the key no target is judged by it, so its best load is not repeated.
        if "best" in scenario:
            found.append(_share(f"{name} of limit", scenario["best"]))
    for name, curve in record.get("http", {}).items():
        found.append(_share(f"{name} of limit", curve["best"]))
    for name, row in record.get("idle", {}).get("contracts", {}).items():
        found.append(Ratio(f"idle {name} of bare", row["share"], row["spread"], False, row["steady"]))
    return found + _against_peer(record) + _under_overload(record)


def _share(name: str, best: Mapping[str, Any] | None) -> Ratio:
    if best is None or not best.get("serves", True):
        return Ratio(name, 0.0, 0.0, higher_is_better=True)
    return Ratio(name, best["share"], best["spread"], True, best["steady"] and late_generator(best) is None)


def _against_peer(record: Mapping[str, Any]) -> list[Ratio]:
    found = []
    throughput = peer_throughput(record)
    if throughput is not None:
        ours, theirs = record["http"]["facepp-250"]["best"], record["peer"]["best"]
        if throughput:
            # Of a quotient the parts' relative spreads add up.
            spread = throughput * (ours["spread"] / ours["share"] + theirs["spread"] / theirs["share"])
            steady = ours["steady"] and theirs["steady"]
            found.append(Ratio(_THROUGHPUT, throughput, spread, True, steady))
        else:
            found.append(Ratio(_THROUGHPUT, 0.0, 0.0, higher_is_better=True))
    # A quick bench has too few answers for the 99th.
    latency = peer_latency(record, "beside_peer", percent=95)
    beside = record.get("beside_peer", {})
    if latency is not None and fault_of_turns(beside) is None:
        found.append(Ratio(_P95, latency.ratio, beside["spread"] or 0.0, False, beside["steady"]))
    return found


def _under_overload(record: Mapping[str, Any]) -> list[Ratio]:
    told = record.get("overload")
    if not told:
        return []
    peak = record["http"]["facepp-250"]["best"]
    spread = told["goodput_of_peak"] * peak["spread"] / peak["share"]
    steady = told["steady"] and told["peak_steady"]
    return [Ratio("overload goodput of peak", told["goodput_of_peak"], spread, True, steady)]


def peer_throughput(record: Mapping[str, Any], peer: str = "peer") -> float | None:
    """Face++ comparisons over the peer's, each at its own best load and as a share of the limit beside it.

    0 where the service does not serve its load. None where one of the two was not measured, or the peer does not
    serve its own: what then comes out of it is no measure.
    """
    curve = record.get("http", {}).get("facepp-250")
    theirs = record.get(peer, {}).get("best")
    if curve is None or not (theirs and theirs["serves"] and theirs["share"]):
        return None
    ours = curve["best"]
    if ours is None or not ours["serves"]:
        return 0.0
    times: float = ours["share"] / theirs["share"]
    return round(times, 3)


def without_figure(record: Mapping[str, Any]) -> set[str]:
    """Ratios whose step ran and gave nothing to divide: the peer answered nobody, or wrong answers have no time."""
    names = set()
    if "peer" in record:
        best = record["peer"]["best"]
        names |= set() if best and best["share"] else {_THROUGHPUT}
    if fault_of_turns(record.get("beside_peer", {})):
        names.add(_P95)
    return names


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio before and now."""

    name: str
    before: float
    #: None: its step ran and has no figure.
    now: float | None
    #: The most that noise explains, in the ratio's own unit.
    noise: float
    #: None: one of the two was measured on a machine that moved.
    worse: bool | None


def compare(before: Sequence[Ratio], now: Sequence[Ratio], lost: Collection[str] = ()) -> list[Change]:
    """Ratios that both have; ``worse`` where the difference is more than both results' noise.

    ``lost`` are names of those that have no figure now though their step ran: worse than any.
    """
    found = {ratio.name: ratio for ratio in now}
    changes = []
    for old in before:
        ratio = found.get(old.name)
        if ratio is None:
            changes += [Change(old.name, old.value, None, 0.0, worse=True)] if old.name in lost else []
            continue
        # Half of a spread is about what the median of its runs may be off.
        noise = max(_NOISE * old.value, (ratio.spread + old.spread) / 2)
        less = old.value - ratio.value if ratio.higher_is_better else ratio.value - old.value
        worse = less > noise if old.steady and ratio.steady else None
        changes.append(Change(old.name, old.value, ratio.value, round(noise, 4), worse))
    return changes
