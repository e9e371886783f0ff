"""Three times the best load: what is kept up meanwhile, and how soon it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from visavis_perf.accounts import Reading, account
from visavis_perf.contracts import BUSY, OK
from visavis_perf.http_steps import SETTLE_SHARE, contracts, load_of, offer
from visavis_perf.load import Load, run
from visavis_perf.run import Run
from visavis_perf.samples import Summary, needed, percentile_ms, recovery_s, summarise
from visavis_perf.service import Service

_TIMES = 3.0
_LIGHT_SHARE = 0.3
_LONGEST_SETTLE_S = 5.0
#: Without any good answer in the light load before, so much counts as its ordinary latency.
_ORDINARY_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Overload:
    """One overload and the light load after it."""

    #: After the onset, for goodput and latency.
    summary: Summary
    #: From the first request on, for refusals and faults: the onset is where they would go wrong.
    whole: Summary
    #: Of all refusals, in seconds.
    busy_s: tuple[float, ...]
    recovery_s: float
    #: Good answers to the light load.
    good_after: int


def overload_step(bench: Run, service: Service, best: Mapping[str, Any]) -> dict[str, Any]:
    """Three times the peak, then a light load at once; ``best`` is Face++'s best load with small pictures.

    Goodput and peak are both shares of the limit right beside them: the peak is minutes old.
    """
    plan, peak = bench.plan, best["share"]
    load = load_of(bench, service, contracts(service)["facepp"], "250")
    light = max(2.0, _LIGHT_SHARE * best["goodput"])
    ordinary = offer(load, light, plan.http_seconds).p95_ms or _ORDINARY_MS
    before = Reading.of(service)
    found = bench.beside_limit(
        "250",
        lambda limit: _overload(
            replace(load, rate=_TIMES * peak * limit, seconds=plan.overload_seconds),
            replace(load, rate=light, seconds=plan.recovery_seconds),
            ordinary,
        ),
        lambda one: one.summary.goodput,
        run_s=plan.overload_seconds + plan.recovery_seconds,
        wanted=1,
        pictures_per_request=2,
    )
    after = Reading.of(service)
    pictures = 2 * sum(one.result.summary.good + one.result.good_after for one in found.runs)
    busy_s = [latency for one in found.runs for latency in one.result.busy_s]
    return {
        **found.as_dict(),
        "seconds": plan.overload_seconds,
        "peak": peak,
        "summary": found.counted[-1].result.summary.as_dict(),
        "goodput_of_peak": round(found.share / peak, 4),
        "peak_steady": best["steady"],
        "busy_p99_ms": percentile_ms(busy_s, 99) if len(busy_s) >= needed(99) else None,
        "busy_max_ms": round(1000 * max(busy_s), 3) if busy_s else None,
        "refused": sum(one.result.whole.busy for one in found.runs),
        "wrong": sum(one.result.whole.wrong for one in found.runs),
        "recovery_s": max(one.result.recovery_s for one in found.runs),
        **account(before, after, pictures),
    }


def _overload(heavy: Load, light: Load, ordinary_ms: float) -> Overload:
    samples = run(heavy)
    # `run` returned when its last answer came: what of the recovery passed until then counts as well.
    waited = max(0.0, max(sample.answered_s for sample in samples) - heavy.seconds)
    after = run(light)
    settle = min(_LONGEST_SETTLE_S, SETTLE_SHARE * heavy.seconds)
    summary = summarise(samples, rate=heavy.rate, seconds=heavy.seconds, settle_s=settle)
    whole = summarise(samples, rate=heavy.rate, seconds=heavy.seconds)
    return Overload(
        summary,
        whole,
        tuple(sample.latency_s for sample in samples if sample.kind == BUSY),
        round(waited + recovery_s(after, ordinary_ms=2 * ordinary_ms), 2),
        sum(sample.kind == OK for sample in after),
    )
