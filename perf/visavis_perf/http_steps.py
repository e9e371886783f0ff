"""What clients get over HTTP: a contract's curve and its best load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from visavis_perf.accounts import Reading, account
from visavis_perf.brackets import Bracketed
from visavis_perf.contracts import Aliyun, Aws, Contract, FacePp, JdCloud, bodies
from visavis_perf.load import Load, run
from visavis_perf.run import Run
from visavis_perf.samples import Latencies, Summary, percentile_ms, pooled, summarise
from visavis_perf.schedule import TAIL_S, Costs
from visavis_perf.search import BEST_LOAD_P99_MS, best_of, explore, unfilled
from visavis_perf.service import Service
from visavis_perf.steal import MUCH, StealMeter

#: While a service fills, at the beginning of a load, neither its answers nor its latencies are its usual ones.
SETTLE_SHARE = 0.2
_WARM_UP_SHARE, _WARM_UP_SECONDS = 0.2, 2.0
#: Where the best load of the search does not serve when it is repeated, less is offered, at most so often.
_LESS, _STEPS_DOWN = 0.93, 2
#: Where it leaves room, more is offered, at most so often.
_MORE, _STEPS_UP = 1.07, 4


def contracts(service: Service) -> dict[str, Contract]:
    """Every contract of the service, with its key."""
    caller = service.caller
    return {one.name: one for one in (FacePp(caller), JdCloud(caller), Aliyun(caller), Aws(caller))}


def load_of(bench: Run, service: Service, contract: Contract, pictures: str) -> Load:
    """A load whose bodies are made and hashed once; rate and length are the caller's to replace."""
    return Load(service.url, contract, bodies(contract, bench.pictures[pictures]), rate=1.0, seconds=1.0)


def offer(load: Load, rate: float, seconds: float) -> Summary:
    """One constant rate."""
    samples = run(replace(load, rate=rate, seconds=seconds))
    return summarise(samples, rate=rate, seconds=seconds, settle_s=SETTLE_SHARE * seconds)


def curve_step(
    bench: Run,
    service: Service,
    contract: Contract,
    pictures: str,
    shares: Sequence[float],
    *,
    finer: int | None = None,
    repeats: int | None = None,
) -> dict[str, Any]:
    """Throughput and latency at growing rates, the best load, and that load again and again between bursts.

    Rates are ``shares`` of the limit as it is just before the curve. ``stolen`` is the most of the cores that others
    had while one of them was offered.
    """
    plan = bench.plan
    load = load_of(bench, service, contract, pictures)
    limit = bench.limits.burst(pictures) / contract.pictures_per_request
    offer(load, max(1.0, _WARM_UP_SHARE * limit), min(_WARM_UP_SECONDS, plan.search_seconds))
    search = _Search(bench, load)
    curve = explore(
        search.offer,
        [share * limit for share in shares],
        finer=plan.finer if finer is None else finer,
    )
    table: dict[str, Any] = {
        "pictures": pictures,
        "limit_per_s": round(limit, 2),
        "curve": [summary.as_dict() for summary in curve],
        "stolen": round(search.stolen, 4),
        "best": None,
    }
    best = best_of(curve)
    return table if best is None else table | _at_best(bench, service, load, pictures, best.rate / limit, repeats)


@dataclass(slots=True)
class _Search:
    """Offers rates; a rate that others took much of the cores from is offered once more, where there is time."""

    bench: Run
    load: Load
    #: The most of the cores' time that others had during a rate that counts.
    stolen: float = 0.0

    def offer(self, rate: float) -> Summary:
        """One of the rates that the best load is sought with."""
        seconds = self.bench.plan.search_seconds
        summary, stolen = self._once(rate, seconds)
        if stolen > MUCH and self.bench.pace.allows(seconds + TAIL_S):
            summary, stolen = self._once(rate, seconds)
        self.stolen = max(self.stolen, stolen)
        return summary

    def _once(self, rate: float, seconds: float) -> tuple[Summary, float]:
        meter = StealMeter()
        return offer(self.load, rate, seconds), meter.share()


def _at_best(
    bench: Run, service: Service, load: Load, pictures: str, share: float, repeats: int | None
) -> dict[str, Any]:
    """The repeats, with less offered where the best load of the search does not serve all the time.

    And with more before that, where it leaves the service room: one disturbed rate was enough to end the search there.
    """
    per_request = load.contract.pictures_per_request
    costs, seconds = Costs(bench.plan), bench.plan.http_seconds
    # Before either reading comes a burst of the limit, during which nobody asks the service.
    quiet_s = bench.plan.burst_seconds
    share = _filling(bench, load, pictures, share, then_s=costs.bracketed(costs.http_repeat, repeats))
    for steps_down in range(_STEPS_DOWN + 1):
        offered = share * _LESS**steps_down
        before = Reading.of(service, quiet_s=quiet_s)
        found = bench.beside_limit(
            pictures,
            partial(_offer_share, load, seconds, offered),
            lambda summary: summary.goodput,
            run_s=costs.http_repeat,
            wanted=repeats,
            pictures_per_request=per_request,
        )
        after = Reading.of(service, quiet_s=quiet_s)
        best = best_load(found, offered)
        if best["serves"] or not bench.pace.allows(costs.bracketed(costs.http_repeat, repeats)):
            break
    good = sum(one.result.good for one in found.runs)
    caller_ms = sum((one.result.mean_ms or 0.0) * one.result.good for one in found.runs) / max(1, good)
    return {"best": best, **account(before, after, good * per_request, caller_ms=caller_ms)}


def _filling(bench: Run, load: Load, pictures: str, share: float, *, then_s: float) -> float:
    """A share of the limit that fills the service, from one that may not; ``then_s`` is kept for the repeats."""
    costs, seconds = Costs(bench.plan), bench.plan.search_seconds
    run_s = seconds + TAIL_S
    for _ in range(_STEPS_UP):
        found = bench.beside_limit(
            pictures,
            partial(_offer_share, load, seconds, share),
            lambda summary: summary.goodput,
            run_s=run_s,
            wanted=1,
            pictures_per_request=load.contract.pictures_per_request,
            then_s=then_s,
        )
        room = all(unfilled(one.result) for one in found.runs)
        if not room or not bench.pace.allows(costs.bracketed(run_s, 1), then_s=then_s):
            break
        share *= _MORE
    return share


def _offer_share(load: Load, seconds: float, share: float, limit: float) -> Summary:
    return offer(load, share * limit, seconds)


def best_load(found: Bracketed[Summary], offered: float) -> dict[str, Any]:
    """Medians of the runs that count, and latencies of all of them; ``offered`` is the rate as a share of the limit."""
    wrong = sum(one.result.wrong for one in found.runs)
    latencies = pooled(one.result for one in found.counted)
    slowest_ms = percentile_ms(latencies, 99)
    late_ms = percentile_ms([late for one in found.counted for late in one.result.late_s], 99)
    return {
        **found.as_dict(),
        "offered": round(offered, 4),
        "rate": found.median_of(lambda one: one.result.rate),
        "goodput": found.median_of(lambda one: one.result.goodput),
        **Latencies.of(latencies).as_dict(),
        "late_p99_ms": late_ms,
        "late_of_p99": round(late_ms / slowest_ms, 4) if late_ms is not None and slowest_ms else None,
        "wrong": wrong,
        "serves": wrong == 0 and slowest_ms is not None and slowest_ms <= BEST_LOAD_P99_MS,
    }
