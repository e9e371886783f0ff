"""The service's slowest answers over the peer's, of all runs with the same load together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visavis_perf.samples import needed, percentile_ms

#: Steps in which both take turns; the peer is offered the same in both, and its answers of both count.
STEPS = ("beside_peer", "twice_the_peer")
#: A service that refuses more than a few has not served the load, however quick the rest was.
_ANSWERED = 0.95


@dataclass(frozen=True, slots=True)
class PeerLatency:
    """One percentile of both."""

    #: 99 where both have answers enough, else 95.
    percent: int
    ours_ms: float
    theirs_ms: float
    ours: int
    theirs: int

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours_ms / self.theirs_ms

    @property
    def text(self) -> str:
        """What it stands on."""
        shown = f"{self.ours_ms:.0f} of {self.theirs_ms:.0f} ms"
        return f"{self.ratio:.3g}: {shown}, p{self.percent} of {self.ours} and {self.theirs} answers"


def peer_latency(record: Mapping[str, Any], step: str, *, percent: int | None = None) -> PeerLatency | None:
    """None where there are too few answers even for the 95th percentile, or for the one that is asked for."""
    ours: Sequence[float] = record.get(step, {}).get("ours_s", ())
    theirs = [latency for name in STEPS for latency in record.get(name, {}).get("theirs_s", ())]
    fewest = min(len(ours), len(theirs))
    for one in (percent,) if percent else (99, 95):
        if fewest >= needed(one):
            mine, peers = percentile_ms(ours, one), percentile_ms(theirs, one)
            return PeerLatency(one, mine or 0.0, peers, len(ours), len(theirs)) if peers else None
    return None


def fault_of_turns(told: Mapping[str, Any]) -> str | None:
    """Why the service's times of such a step are no times of a service, whatever they are; a step not run has none."""
    if told.get("wrong"):
        return f"{told['wrong']} wrong answers"
    if told and told["answered"] < _ANSWERED:
        return f"{told['answered']:.0%} answered"
    return None


def turns_agree(told: Mapping[str, Any], wanted: float) -> bool:
    """Whether every turn, by its 95th percentile, lies on the same side: p99 of all together is that of few answers."""
    return len({ratio <= wanted for ratio in told.get("p95_ratios", ())}) <= 1
