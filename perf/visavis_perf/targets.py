"""What must be reached on two CPU cores, beside what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from visavis_perf.machine import card_serves
from visavis_perf.peer_latency import fault_of_turns, peer_latency, turns_agree
from visavis_perf.pictures import RESEARCH
from visavis_perf.ratios import peer_throughput, robbed, stolen
from visavis_perf.samples import late_generator, needed
from visavis_perf.steal import MUCH

_SETS = (("250×250", "250"), ("1 megapixel", "1mp"))
_CONTRACTS = (("facepp", "Face++", 0.72), ("jdcloud", "JD Cloud", 0.68), ("aliyun", "Alibaba", 0.68))
NOT_MEASURED = "not measured"
#: Shares of the limit, by where a record has their load.
SHARES = {
    **{
        ("scenarios", scenario): f"ensemble, {pictures}, images/s of the limit"
        for pictures, scenario in (("250×250", "ensemble"), ("1 megapixel", "ensemble-1mp"))
    },
    **{
        ("http", f"{contract}-{suffix}"): f"{title} over HTTP, {pictures}, compares/s of the limit"
        for contract, title, _ in _CONTRACTS
        for pictures, suffix in _SETS
    },
}
#: Of the bare time.
IDLE = {
    contract: f"idle service, p50 of {title}, of the bare time"
    for contract, title in (("aws", "one picture (AWS)"), ("facepp", "a comparison (Face++)"))
}
OVERLOAD = "overload at 3 × peak: goodput of the peak"
OTHER_PICTURES = "on other pictures"


@dataclass(frozen=True, slots=True)
class Target:
    """A line of "must reach" beside what was reached."""

    number: str
    what: str
    wanted: str
    got: str
    #: None: this run did not measure it, or the machine moved meanwhile.
    met: bool | None

    def as_dict(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


def targets(record: Mapping[str, Any]) -> list[Target]:
    """The issue's list, target beside result; it is for processors, so without verdicts where a card serves."""
    rows = [
        *_with_pictures(record),
        _at_most("6", "second start to ready in s", 10.0, record.get("start", {}).get("second_s")),
    ]
    return [replace(row, met=None) for row in rows] if card_serves(record["machine"]) else rows


def _with_pictures(record: Mapping[str, Any]) -> list[Target]:
    """All that is measured with pictures; marked where they are not those that the targets are stated for."""
    rows = [*_ensemble(record), *_http(record), *_idle(record), *_against_peer(record), *_under_overload(record)]
    if record.get("pictures", {}).get("source", RESEARCH) == RESEARCH:
        return rows
    return [
        row if row.got.startswith(NOT_MEASURED) else replace(row, got=f"{row.got}, {OTHER_PICTURES}") for row in rows
    ]


def _ensemble(record: Mapping[str, Any]) -> list[Target]:
    rows = []
    for scenario in ("ensemble", "ensemble-1mp"):
        what, told = SHARES["scenarios", scenario], record.get("scenarios", {}).get(scenario)
        reason = record.get("left_out", {}).get(scenario)
        if told and not told.get("best"):
            rows.append(Target("1", what, "≥ 0.82", "no load was served", met=False))
        elif reason:
            rows.append(Target("1", what, "≥ 0.82", f"{NOT_MEASURED}: {reason}", None))
        else:
            rows.append(_share_at_least("1", what, 0.82, told["best"] if told else None))
    return rows


def _http(record: Mapping[str, Any]) -> list[Target]:
    rows = []
    for contract, _, wanted in _CONTRACTS:
        for _, suffix in _SETS:
            what = SHARES["http", f"{contract}-{suffix}"]
            curve = record.get("http", {}).get(f"{contract}-{suffix}")
            best = curve["best"] if curve else None
            if curve and (best is None or not best["serves"]):
                rows.append(_not_served("2", what, wanted, curve))
            else:
                rows.append(_share_at_least("2", what, wanted, best))
    return rows


def _not_served(number: str, what: str, wanted: float, curve: Mapping[str, Any]) -> Target:
    """No verdict where others had the cores while a load was sought."""
    if robbed(curve):
        text = f"no load was served, while others took {100 * stolen(curve):.0f}% of the cores"
        return Target(number, what, f"≥ {wanted:g}", text, None)
    return Target(number, what, f"≥ {wanted:g}", "no load was served", met=False)


def _idle(record: Mapping[str, Any]) -> list[Target]:
    rows = []
    for name, what in IDLE.items():
        row = record.get("idle", {}).get("contracts", {}).get(name, {})
        rows.append(_at_most("3", what, 1.3, row.get("share"), steady=row.get("steady", True)))
    return rows


def _against_peer(record: Mapping[str, Any]) -> list[Target]:
    rows = [_times_the_peer(record)]
    small = peer_throughput(record, "peer_not_enlarged")
    rows.append(
        Target("4", "the same, of a peer that detects small pictures at their own size", "–", _text(small), None)
    )
    for name, what, wanted in (
        ("twice_the_peer", "p99 over the peer's at its best load, the service at twice that", 1.0),
        ("beside_peer", "p99 over the peer's, both at the peer's best load", 0.5),
    ):
        told = record.get(name, {})
        found = peer_latency(record, name)
        fault = fault_of_turns(told)
        if fault:
            rows.append(Target("4", what, f"≤ {wanted:g}", fault, met=False))
        elif found is None:
            rows.append(_at_most("4", what, wanted, None))
        else:
            steady = told["steady"] and turns_agree(told, wanted)
            judged = found.percent == 99 and steady
            text = found.text if steady else f"{found.text}, unsteady"
            rows.append(Target("4", what, f"≤ {wanted:g}", text, found.ratio <= wanted if judged else None))
    return rows


def _times_the_peer(record: Mapping[str, Any]) -> Target:
    what, wanted = "throughput of the peer's", 2.0
    times, peer = peer_throughput(record), record.get("peer")
    if times:
        bests = record["http"]["facepp-250"]["best"], record["peer"]["best"]
        late = next(filter(None, map(late_generator, bests)), None)
        if late:
            return Target("4", what, f"≥ {wanted:g}", f"{times:.3g}, no verdict: {late}", None)
        return _at_least("4", what, wanted, times, steady=all(best["steady"] for best in bests))
    if times == 0:
        return _not_served("4", what, wanted, record["http"]["facepp-250"])
    return Target("4", what, f"≥ {wanted:g}", "the peer served no load" if peer else NOT_MEASURED, None)


def _under_overload(record: Mapping[str, Any]) -> list[Target]:
    told = record.get("overload", {})
    steady = told.get("steady", True) and told.get("peak_steady", True)
    times = [_refusals(told), _at_most("5", "overload: recovery in s", 5.0, told.get("recovery_s"))]
    if told.get("stolen", 0.0) > MUCH:
        # Times are not of the limit beside them: whoever waits for a core that others have is late.
        others = f", while others took {100 * told['stolen']:.0f}% of the cores"
        times = [replace(row, met=None, got=row.got + others) if row.met is False else row for row in times]
    refusals, recovery = times
    wrong = _at_most("5", "overload: answers of any other kind", 0, told.get("wrong"))
    return [_at_least("5", OVERLOAD, 0.9, told.get("goodput_of_peak"), steady=steady), refusals, wrong, recovery]


def _refusals(told: Mapping[str, Any]) -> Target:
    """Told with their number, for a percentile of a few says nothing, and with the slowest one."""
    p99_ms, refused = told.get("busy_p99_ms"), told.get("refused", 0)
    what, wanted = "overload: refusals answered, p99 in ms", "≤ 100"
    if p99_ms is None:
        return Target("5", what, wanted, NOT_MEASURED, None)
    slowest = f", the slowest {told['busy_max_ms']:.3g}" if "busy_max_ms" in told else ""
    met = p99_ms <= 100 if refused >= needed(99) else None
    return Target("5", what, wanted, f"{p99_ms:.3g}, of {refused} refusals{slowest}", met)


def _share_at_least(number: str, what: str, wanted: float, best: Mapping[str, Any] | None) -> Target:
    """More than the whole limit proves that something else ran while the limit was measured: no verdict then."""
    if best is None:
        return _at_least(number, what, wanted, None)
    share = best["share"]
    if share > 1:
        return Target(number, what, f"≥ {wanted:g}", f"{share:.3g}, above the limit: not valid", None)
    late = late_generator(best)
    if late:
        return Target(number, what, f"≥ {wanted:g}", f"{share:.3g}, no verdict: {late}", None)
    return _at_least(number, what, wanted, share, steady=best["steady"])


def _at_least(number: str, what: str, wanted: float, got: float | None, *, steady: bool = True) -> Target:
    met = None if got is None or not steady else got >= wanted
    return Target(number, what, f"≥ {wanted:g}", _text(got, steady=steady), met)


def _at_most(number: str, what: str, wanted: float, got: float | None, *, steady: bool = True) -> Target:
    met = None if got is None or not steady else got <= wanted
    return Target(number, what, f"≤ {wanted:g}", _text(got, steady=steady), met)


def _text(value: float | None, *, steady: bool = True) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.3g}" if steady else f"{value:.3g}, unsteady"
