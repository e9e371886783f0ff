"""The afternoon's peer: its own best load, and both services in turns at that load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from visavis_perf.contracts import Afternoon
from visavis_perf.http_steps import contracts, curve_step, load_of, offer
from visavis_perf.plan import LONGER_BESIDE_PEER
from visavis_perf.run import Run
from visavis_perf.samples import Summary, pooled
from visavis_perf.service import Service


def peer_step(bench: Run, peer: Service) -> dict[str, Any]:
    """The peer at its best load, with small pictures."""
    return curve_step(bench, peer, Afternoon(), "250", bench.plan.peer_shares)


def small_peer_step(bench: Run, peer: Service) -> dict[str, Any]:
    """The same for information, so measured once: of a peer that leaves small pictures small, and of a rival."""
    return curve_step(bench, peer, Afternoon(), "250", bench.plan.small_peer_shares, finer=1, repeats=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both services, one right after the other."""

    ours: Summary
    theirs: Summary

    @property
    def p95_ratio(self) -> float | None:
        """Ours over theirs; a run alone has too few answers for the 99th percentile."""
        if self.ours.p95_ms is None or not self.theirs.p95_ms:
            return None
        return self.ours.p95_ms / self.theirs.p95_ms


def beside_peer_step(
    bench: Run, service: Service, peer: Service, offered: float, *, times: float = 1.0
) -> dict[str, Any]:
    """The peer at its best load, ``offered`` as a share of the limit, and the service at ``times`` as much.

    In turns, while the other one is idle.
    """
    ours = load_of(bench, service, contracts(service)["facepp"], "250")
    theirs = load_of(bench, peer, Afternoon(), "250")
    seconds = bench.plan.http_seconds
    # Longer where the service is offered half as much, so that its answers tell a 99th percentile in either step.
    ours_seconds = seconds if bench.plan.quick else seconds * max(1.0, LONGER_BESIDE_PEER / times)
    turns = count()

    def pair(limit: float) -> Pair:
        """Whoever went first goes second in the next turn."""
        rate = offered * limit
        if next(turns) % 2:
            peers = offer(theirs, rate, seconds)
            return Pair(offer(ours, times * rate, ours_seconds), peers)
        return Pair(offer(ours, times * rate, ours_seconds), offer(theirs, rate, seconds))

    found = bench.beside_limit(
        "250", pair, lambda one: one.ours.goodput, run_s=seconds + ours_seconds, pictures_per_request=2
    )  # fmt: skip
    ratios = [ratio for one in found.counted if (ratio := one.result.p95_ratio) is not None]
    return {
        "steady": found.steady,
        "offered": offered,
        "times": times,
        # Of all requests that were due; the rest were refused, or late.
        "answered": found.median_of(lambda one: one.result.ours.goodput / one.result.ours.rate),
        "spread": max(ratios) - min(ratios) if ratios else None,
        "p95_ratios": ratios,
        # Of all runs that count: `peer_latency.py` takes them together.
        "ours_s": _rounded(pooled(one.result.ours for one in found.counted)),
        "theirs_s": _rounded(pooled(one.result.theirs for one in found.counted)),
        "wrong": sum(one.result.ours.wrong for one in found.runs),
    }


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(one, 5) for one in seconds]
