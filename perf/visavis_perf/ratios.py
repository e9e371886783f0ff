"""The few numbers that hold on any machine, and whether they got worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median
from typing import Any

from visavis_perf.peer_latency import fault_of_turns, peer_latency
from visavis_perf.samples import late_generator
from visavis_perf.steal import MUCH

#: A ratio may differ by so much of itself without meaning anything, however well its runs agreed: two benches of one
#: product, hours apart, lie 2 to 7 % apart, and once it was 13 %, while the runs within each agreed to 4 %. What is
#: beyond even that is measured again (`check.py`).
_NOISE = 0.08
_THROUGHPUT, _P95 = "throughput of peer's", "p95 of peer's"


@dataclass(frozen=True, slots=True)
class Ratio:
    """One number of a result."""

    name: str
    #: What measures it, as `visavis bench steps` lists it.
    step: str
    #: Infinitely bad: its step ran and has no figure.
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
            found.append(_share(f"{name} of limit", name, scenario["best"]))
    for name, curve in record.get("http", {}).items():
        # The one step of a contract measures it with every set of pictures.
        contract = name.rpartition("-")[0]
        share = _share(f"{name} of limit", contract, curve["best"])
        found.append(replace(share, steady=share.steady and not robbed(curve)))
    for name, row in record.get("idle", {}).get("contracts", {}).items():
        found.append(Ratio(f"idle {name} of bare", "idle", row["share"], row["spread"], False, row["steady"]))
    return found + _against_peer(record) + _under_overload(record)


def _share(name: str, step: str, best: Mapping[str, Any] | None) -> Ratio:
    if best is None or not best.get("serves", True):
        return Ratio(name, step, 0.0, 0.0, higher_is_better=True)
    return Ratio(name, step, best["share"], best["spread"], True, best["steady"] and late_generator(best) is None)


def robbed(curve: Mapping[str, Any]) -> bool:
    """Whether no load was served while others had much of the cores. Older records do not tell."""
    best = curve["best"] or {}
    return not best.get("serves") and stolen(curve) > MUCH


def stolen(curve: Mapping[str, Any]) -> float:
    """The most that others had of the cores while a load was sought, and while it was offered again."""
    found: float = max(curve.get("stolen", 0.0), (curve["best"] or {}).get("stolen", 0.0))
    return found


def _against_peer(record: Mapping[str, Any]) -> list[Ratio]:
    found = []
    throughput = peer_throughput(record)
    if throughput is not None:
        ours, theirs = record["http"]["facepp-250"]["best"], record["peer"]["best"]
        if throughput:
            # Of a quotient the parts' relative spreads add up.
            spread = throughput * (ours["spread"] / ours["share"] + theirs["spread"] / theirs["share"])
            steady = ours["steady"] and theirs["steady"]
            found.append(Ratio(_THROUGHPUT, "peer", throughput, spread, True, steady))
        else:
            steady = not robbed(record["http"]["facepp-250"])
            found.append(Ratio(_THROUGHPUT, "peer", 0.0, 0.0, higher_is_better=True, steady=steady))
    # A quick bench has too few answers for the 99th.
    latency = peer_latency(record, "beside_peer", percent=95)
    beside = record.get("beside_peer", {})
    if latency is not None and fault_of_turns(beside) is None:
        found.append(Ratio(_P95, "peer", latency.ratio, beside["spread"] or 0.0, False, beside["steady"]))
    return found


def _under_overload(record: Mapping[str, Any]) -> list[Ratio]:
    told = record.get("overload")
    if not told:
        return []
    peak = record["http"]["facepp-250"]["best"]
    spread = told["goodput_of_peak"] * peak["spread"] / peak["share"]
    steady = told["steady"] and told["peak_steady"]
    return [Ratio("overload goodput of peak", "overload", told["goodput_of_peak"], spread, True, steady)]


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


def without_figure(record: Mapping[str, Any]) -> list[Ratio]:
    """Ratios whose step ran and gave nothing to divide: the peer answered nobody, or wrong answers have no time."""
    found = []
    if "peer" in record:
        best = record["peer"]["best"]
        if not (best and best["share"]):
            found.append(Ratio(_THROUGHPUT, "peer", -inf, 0.0, higher_is_better=True))
    if fault_of_turns(record.get("beside_peer", {})):
        found.append(Ratio(_P95, "peer", inf, 0.0, higher_is_better=False))
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio before and now."""

    name: str
    #: What measures it.
    step: str
    before: float
    #: Median of the measurements that count; None: there is no figure.
    now: float | None
    #: The most that noise explains, in the ratio's own unit.
    noise: float
    #: None: measured now on a machine that moved, or worse than what was measured on one.
    worse: bool | None
    #: Every one, in their order. An unsteady one does not count; where no other is there, all are taken.
    measured: tuple[Ratio, ...]

    @property
    def counted(self) -> int:
        """How many of them there can be a verdict by."""
        return sum(ratio.steady for ratio in self.measured)


def compare(before: Sequence[Ratio], now: Sequence[Ratio]) -> list[Change]:
    """Ratios that both have; ``worse`` where the difference is more than noise.

    ``now`` may have a ratio several times, measured again: the median of all that are steady is judged.
    """
    changes = []
    for old in before:
        measured = tuple(ratio for ratio in now if ratio.name == old.name)
        if measured:
            changes.append(_change(old, measured))
    return changes


def _change(old: Ratio, measured: tuple[Ratio, ...]) -> Change:
    counted = [ratio for ratio in measured if ratio.steady] or measured
    value = median(ratio.value for ratio in counted)
    noise = _noise(old, counted)
    if not isfinite(value):
        # Worse than any, be the one before steady or not.
        return Change(old.name, old.step, old.value, None, round(noise, 4), True, measured)
    less = old.value - value if old.higher_is_better else value - old.value
    worse: bool | None = less > noise
    # What is no worse than a figure of a machine that moved is no regression; what is worse may be that figure's fault.
    if not any(ratio.steady for ratio in measured) or (worse and not old.steady):
        worse = None
    return Change(old.name, old.step, old.value, value, round(noise, 4), worse, measured)


def _noise(old: Ratio, counted: Sequence[Ratio]) -> float:
    """The most of what three things explain: another hour, runs that lie apart, and measurements here that do."""
    # Half of a spread is about what the median of its runs may be off.
    of_runs = (old.spread + median(ratio.spread for ratio in counted)) / 2
    values = [ratio.value for ratio in counted if isfinite(ratio.value)]
    of_measurements = 0.0
    if values:
        # On the good side alone: what came out still worse excuses nothing.
        best = max(values) if old.higher_is_better else min(values)
        of_measurements = min(abs(best - median(values)), (max(values) - min(values)) / 2)
    return max(_NOISE * old.value, of_runs, of_measurements)
