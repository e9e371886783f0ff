"""The few numbers that hold on any machine, what they must reach, and whether they got worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: A ratio may differ by so much of itself without meaning anything, however well its runs agreed.
_NOISE = 0.05
#: A limit that moves by more during a bench was measured on a machine that did other work as well.
STEADY = 0.1


@dataclass(frozen=True, slots=True)
class Ratio:
    """One number of a result."""

    name: str
    value: float
    #: Largest less smallest of its runs.
    spread: float
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A line of "must reach" beside what was reached."""

    number: str
    what: str
    wanted: str
    got: str
    #: None: this run did not measure it.
    met: bool | None

    def as_dict(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


def ratios(record: Mapping[str, Any]) -> list[Ratio]:
    """Every ratio that a record holds; what was not measured is left out."""
    found = []
    for name, scenario in record.get("scenarios", {}).items():
        if scenario["model"] == "face_analysis" and scenario.get("best"):
            found.append(_share(f"{name} of limit", scenario["best"]))
    for name, curve in record.get("http", {}).items():
        if curve.get("best"):
            found.append(_share(f"{name} of limit", curve["best"]))
    for name, row in record.get("idle", {}).get("contracts", {}).items():
        if row["of_bare"] is not None:
            found.append(Ratio(f"idle {name} of bare", row["of_bare"], 0.1 * row["of_bare"], higher_is_better=False))
    throughput = peer_throughput(record)
    if throughput is not None:
        found.append(Ratio("throughput of peer's", throughput, 0.1 * throughput, higher_is_better=True))
    if record.get("overload"):
        found.append(Ratio("overload goodput of peak", record["overload"]["goodput_of_peak"], 0.05, True))
    return found


def _share(name: str, best: Mapping[str, Any]) -> Ratio:
    return Ratio(name, best["of_limit"], best["spread"], higher_is_better=True)


def peer_throughput(record: Mapping[str, Any], peer: str = "peer") -> float | None:
    """Face++ comparisons a second over the peer's, each at its own best load."""
    ours = record.get("http", {}).get("facepp-250", {}).get("best")
    theirs = record.get(peer, {}).get("best")
    return round(ours["goodput"] / theirs["goodput"], 3) if ours and theirs else None


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio before and now."""

    name: str
    before: float
    now: float
    #: The most that noise explains, in the ratio's own unit.
    noise: float
    worse: bool


def compare(before: list[Ratio], now: list[Ratio]) -> list[Change]:
    """Ratios that both have; ``worse`` where the difference is more than both runs' noise."""
    known = {ratio.name: ratio for ratio in before}
    changes = []
    for ratio in now:
        old = known.get(ratio.name)
        if old is None:
            continue
        noise = max(_NOISE * old.value, ratio.spread, old.spread)
        lost = old.value - ratio.value if ratio.higher_is_better else ratio.value - old.value
        changes.append(Change(ratio.name, old.value, ratio.value, round(noise, 4), lost > noise))
    return changes


def targets(record: Mapping[str, Any]) -> list[Target]:
    """The issue's list for two CPU cores, target beside result."""
    rows = []
    for pictures, scenario in (("250×250", "ensemble"), ("1 megapixel", "ensemble-1mp")):
        best = record.get("scenarios", {}).get(scenario, {}).get("best")
        rows.append(_share_at_least("1", f"ensemble, {pictures}, images/s of the limit", 0.82, best))
    for contract, title, wanted in (
        ("facepp", "Face++", 0.72),
        ("jdcloud", "JD Cloud", 0.68),
        ("aliyun", "Alibaba", 0.68),
    ):
        for pictures, suffix in (("250×250", "250"), ("1 megapixel", "1mp")):
            best = record.get("http", {}).get(f"{contract}-{suffix}", {}).get("best")
            what = f"{title} over HTTP, {pictures}, compares/s of the limit"
            rows.append(_share_at_least("2", what, wanted, best))
    idle = record.get("idle", {}).get("contracts", {})
    for name, title in (("aws", "one picture (AWS)"), ("facepp", "a comparison (Face++)")):
        value = idle.get(name, {}).get("of_bare")
        rows.append(_at_most("3", f"idle service, p50 of {title}, of the bare time", 1.3, value))
    return rows + _against_peer(record) + _under_overload(record) + _start(record)


def _against_peer(record: Mapping[str, Any]) -> list[Target]:
    ours = record.get("http", {}).get("facepp-250", {}).get("best")
    theirs = record.get("peer", {}).get("best")
    beside = record.get("beside_peer")
    at_best = round(ours["p99_ms"] / theirs["p99_ms"], 3) if ours and theirs else None
    at_theirs = round(beside["p99_ms"] / theirs["p99_ms"], 3) if beside and theirs else None
    return [
        _at_least("4", "throughput of the peer's", 2.0, peer_throughput(record)),
        _at_most("4", "p99 of the peer's, each at its best load", 1.0, at_best),
        _at_most("4", "p99 of the peer's, both at the peer's best load", 0.5, at_theirs),
    ]


def _under_overload(record: Mapping[str, Any]) -> list[Target]:
    told = record.get("overload", {})
    return [
        _at_least("5", "overload at 3 × peak: goodput of the peak", 0.9, told.get("goodput_of_peak")),
        _at_most("5", "overload: refusals answered, p99 in ms", 100.0, told.get("busy_p99_ms")),
        _at_most("5", "overload: answers of any other kind", 0, told.get("wrong")),
        _at_most("5", "overload: recovery in s", 5.0, told.get("recovery_s")),
    ]


def _start(record: Mapping[str, Any]) -> list[Target]:
    return [_at_most("6", "second start to ready in s", 10.0, record.get("start", {}).get("second_s"))]


def _share_at_least(number: str, what: str, wanted: float, best: Mapping[str, Any] | None) -> Target:
    """More than the whole limit proves that something else ran while the limit was measured: no verdict then."""
    share = best["of_limit"] if best else None
    if share is not None and share > 1:
        return Target(number, what, f"≥ {wanted:g}", f"{share:.3g}, above the limit: not valid", None)
    return _at_least(number, what, wanted, share)


def _at_least(number: str, what: str, wanted: float, got: float | None) -> Target:
    return Target(number, what, f"≥ {wanted:g}", _text(got), None if got is None else got >= wanted)


def _at_most(number: str, what: str, wanted: float, got: float | None) -> Target:
    return Target(number, what, f"≤ {wanted:g}", _text(got), None if got is None else got <= wanted)


def _text(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"
