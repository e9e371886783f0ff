"""What clients get over HTTP: curves, the best load, an idle service, the peer, an overload."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Sequence
from statistics import median
from typing import Any

from visavis_perf.bare import BareService, Runtime, idle_times_s
from visavis_perf.contracts import OK, Afternoon, Aliyun, Aws, Contract, FacePp, JdCloud, bodies
from visavis_perf.load import Load, run, run_idle
from visavis_perf.places import REPOSITORY
from visavis_perf.plan import Run
from visavis_perf.proxy_metrics import mean_ms, read_histograms
from visavis_perf.samples import Summary, percentile_ms, recovery_s, summarise
from visavis_perf.service import Service
from visavis_perf.triton_statistics import breakdown, read_counters

#: Shares of the limit that are offered.
FULL_CURVE = (0.2, 0.4, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0)
TOP_OF_CURVE = (0.6, 0.7, 0.8, 0.9)
PEER_CURVE = (0.1, 0.2, 0.3, 0.4, 0.5)
#: A load whose slowest hundredth waits longer serves nobody, however many answers come out.
_BEST_LOAD_P99_MS = 1000.0
#: Nothing may be wrong at all at a load that counts.
_SETTLE_SHARE = 0.2
_RECOVERY_LIGHT_LOAD = 0.3
_RECOVERY_SECONDS = 12.0


def contracts(service: Service) -> dict[str, Contract]:
    """Every contract of the service, with its key."""
    caller = service.caller
    return {one.name: one for one in (FacePp(caller), JdCloud(caller), Aliyun(caller), Aws(caller))}


def offer(service: Service, contract: Contract, jpegs: Sequence[bytes], rate: float, seconds: float) -> Summary:
    """One constant rate."""
    samples = run(Load(service.url, contract, bodies(contract, jpegs), rate, seconds))
    return summarise(samples, rate=rate, seconds=seconds, settle_s=_SETTLE_SHARE * seconds)


def serves(summary: Summary) -> bool:
    """Whether a load may count as the best: no wrong answer, and nobody waits for long."""
    return summary.wrong == 0 and summary.p99_ms is not None and summary.p99_ms <= _BEST_LOAD_P99_MS


def best_of(curve: Sequence[Summary]) -> Summary | None:
    """The point with most good answers among those that serve."""
    return max(filter(serves, curve), key=lambda summary: summary.goodput, default=None)


def curve_step(
    bench: Run, service: Service, contract: Contract, pictures: str, shares: Sequence[float]
) -> dict[str, Any]:
    """Throughput and latency at growing rates, then the best rate again and again; with the stages at that rate."""
    jpegs = bench.pictures(pictures)
    limit = bench.compares_limit(pictures, contract.pictures_per_request)
    seconds = bench.plan.http_seconds
    offer(service, contract, jpegs, max(1.0, 0.2 * limit), min(2.0, seconds))
    curve = [offer(service, contract, jpegs, share * limit, seconds) for share in shares]
    table: dict[str, Any] = {
        "pictures": pictures,
        "limit_per_s": round(limit, 2),
        "curve": [summary.as_dict() for summary in curve],
        "best": None,
    }
    best = best_of(curve)
    if best is None:
        return table
    triton = read_counters(service.triton_http) if service.triton_http else {}
    proxy = read_histograms(service.url) if service.triton_http else {}
    again = [offer(service, contract, jpegs, best.rate, seconds) for _ in range(bench.plan.repeats)]
    if service.triton_http:
        table["stages"] = breakdown(triton, read_counters(service.triton_http))
        table["proxy"] = mean_ms(proxy, read_histograms(service.url))
    goodput = [summary.goodput for summary in again]
    table["best"] = {
        "rate": best.rate,
        "goodput": median(goodput),
        "p50_ms": median(summary.p50_ms or 0.0 for summary in again),
        "p99_ms": median(summary.p99_ms or 0.0 for summary in again),
        "wrong": sum(summary.wrong for summary in again),
        "runs": goodput,
        "of_limit": round(median(goodput) / limit, 4),
        "spread": round((max(goodput) - min(goodput)) / limit, 4),
    }
    return table


def idle_step(bench: Run, service: Service) -> dict[str, Any]:
    """One request at a time, against the same work in one bare process with the same threads."""
    jpegs = bench.pictures("250")
    count = bench.plan.idle_requests
    runtime = Runtime.parse(bench.limits["250"].runtime)
    threads = _graph_threads(service)
    rows: dict[str, Any] = {}
    for name in ("aws", "facepp"):
        contract = contracts(service)[name]
        load = Load(service.url, contract, bodies(contract, jpegs), rate=1.0, seconds=1.0)
        run_idle(load, 10)
        samples = run_idle(load, count)
        good = [sample.latency_s for sample in samples if sample.kind == OK]
        lanes = contract.pictures_per_request
        bare = BareService(runtime, REPOSITORY, threads=threads, pictures_at_once=lanes)
        requests = [jpegs[index : index + lanes] for index in range(min(count, len(jpegs) - lanes))]
        bare_p50 = percentile_ms(idle_times_s(bare, requests), 50)
        p50 = percentile_ms(good, 50)
        rows[name] = {
            "p50_ms": p50,
            "p99_ms": percentile_ms(good, 99),
            "bare_p50_ms": bare_p50,
            "of_bare": round(p50 / bare_p50, 3) if p50 and bare_p50 else None,
            "wrong": len(samples) - len(good),
        }
    return {"runtime": str(runtime), "threads": threads, "requests": count, "contracts": rows}


def _graph_threads(service: Service) -> int:
    """Threads of one graph in the service, from the configuration that its Triton has loaded."""
    url = f"http://{service.triton_http}/v2/models/face_embedder/config"
    with urllib.request.urlopen(url, timeout=10) as answer:
        parameters = json.load(answer).get("parameters", {})
    return int(parameters.get("intra_op_thread_count", {}).get("string_value", 1))


def peer_step(bench: Run, peer: Service, shares: Sequence[float] = PEER_CURVE) -> dict[str, Any]:
    """The peer at its own best load, with small pictures."""
    return curve_step(bench, peer, Afternoon(), "250", shares)


def beside_peer_step(bench: Run, service: Service, peer_rate: float) -> dict[str, Any]:
    """The service at the peer's best load."""
    contract = contracts(service)["facepp"]
    summaries = [
        offer(service, contract, bench.pictures("250"), peer_rate, bench.plan.http_seconds)
        for _ in range(bench.plan.repeats)
    ]
    return {
        "rate": peer_rate,
        "p50_ms": median(summary.p50_ms or float("inf") for summary in summaries),
        "p99_ms": median(summary.p99_ms or float("inf") for summary in summaries),
        "wrong": sum(summary.wrong for summary in summaries),
    }


def overload_step(bench: Run, service: Service, peak: float) -> dict[str, Any]:
    """Three times the peak for two minutes, then a light load at once: what is kept up, and how soon it is over."""
    contract = contracts(service)["facepp"]
    prepared = bodies(contract, bench.pictures("250"))
    seconds = bench.plan.overload_seconds
    light = max(2.0, _RECOVERY_LIGHT_LOAD * peak)
    ordinary = summarise(
        run(Load(service.url, contract, prepared, light, bench.plan.http_seconds)),
        rate=light,
        seconds=bench.plan.http_seconds,
    )
    heavy = run(Load(service.url, contract, prepared, 3 * peak, seconds))
    last_answer = max(sample.answered_s for sample in heavy)
    # `run` returned when its last answer came: what of the recovery passed until then counts as well.
    waited = max(0.0, last_answer - seconds)
    after = run(Load(service.url, contract, prepared, light, _RECOVERY_SECONDS))
    summary = summarise(heavy, rate=3 * peak, seconds=seconds, settle_s=min(5.0, _SETTLE_SHARE * seconds))
    time.sleep(1.0)
    return {
        "seconds": seconds,
        "peak": peak,
        "summary": summary.as_dict(),
        "goodput_of_peak": round(summary.goodput / peak, 4),
        "busy_p99_ms": summary.busy_p99_ms,
        "wrong": summary.wrong,
        "recovery_s": round(waited + recovery_s(after, ordinary_ms=2 * (ordinary.p99_ms or 1000.0)), 2),
    }
