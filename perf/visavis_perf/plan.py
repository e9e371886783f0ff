"""How much a run measures."""

from __future__ import annotations

from dataclasses import dataclass

from visavis_perf.perf_analyzer import Effort

#: The sets that the targets are stated for.
TARGET_SETS = ("250", "1mp")
#: Shares of the limit that are offered before the finer search: the page's curve, and enough to find the bend.
FULL_CURVE = (0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0)
SHORT_CURVE = (0.5, 0.65, 0.8)
#: Of the usual run, beside the peer at the peer's own best load: on two cores that is 12 requests a second, and three
#: runs must have answers enough for a 99th percentile.
LONGER_BESIDE_PEER = 2.1


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations and repetitions."""

    quick: bool
    #: Of each runtime's turns, of which the best counts.
    try_seconds: float
    #: Of the limit's burst beside every repeat.
    burst_seconds: float
    sweep: Effort
    #: Of perf_analyzer's repeats at the best load.
    effort: Effort
    #: Of each rate while a best load is sought; of its repeats.
    search_seconds: float
    http_seconds: float
    #: Rates beyond the coarse curve's, around the best.
    finer: int
    #: Runs with agreeing neighbours at a best load, of which the median counts.
    repeats: int
    #: Turns of a service and of the bare work, and requests of each turn.
    idle_turns: int
    idle_requests: int
    overload_seconds: float
    recovery_seconds: float = 12.0
    peer_shares: tuple[float, ...] = (0.15, 0.28, 0.4)
    #: Of the peer that leaves small pictures small, which is told for information.
    small_peer_shares: tuple[float, ...] = (0.2, 0.4)

    @classmethod
    def full(cls) -> Plan:
        """Under 20 minutes on two cores, with time to repeat what was disturbed."""
        return cls(False, 0.8, 2.8, Effort(1000), Effort(2000), 4.0, 6.0, 1, 3, 10, 10, 120.0)

    @classmethod
    def short(cls) -> Plan:
        """Some minutes: to see whether everything runs, and for shares with more noise."""
        return cls(True, 0.5, 2.0, Effort(700), Effort(1000), 3.0, 4.0, 1, 2, 5, 8, 13.0, 6.0)

    def curve_shares(self, contract: str, pictures_set: str) -> tuple[float, ...]:
        """The whole curve of one contract; of the others what finds their best load."""
        return FULL_CURVE if (contract, pictures_set) == ("facepp", "250") and not self.quick else SHORT_CURVE
