"""Every variant beside the unchanged service, in turns: unchanged, variant, unchanged, variant, unchanged …

Both are up, and one of them is loaded. A turn of the variant is compared with its two neighbours (`brackets.py`).
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from visavis_perf import machine
from visavis_perf.brackets import bracketed
from visavis_perf.contracts import OK, Contract, FacePp, JdCloud, bodies
from visavis_perf.limit import cores
from visavis_perf.load import Load, run, run_closed, run_idle
from visavis_perf.pictures import pictures
from visavis_perf.processes import part_of
from visavis_perf.proxy_metrics import LET_IN, read_levels
from visavis_perf.results import now
from visavis_perf.samples import Sample, Summary, percentile_ms, summarise
from visavis_perf.schedule import Expected, Pace, minutes
from visavis_perf.service import Service, ServiceFailed, serving
from visavis_perf.signing import Caller
from visavis_perf.triton_http import TritonHttp
from visavis_perf.variants import ENSEMBLE, FACEPP, JDCLOUD, Here, Variant, VariantInvalid
from visavis_perf.variants_models import lay_out

#: The ensemble's best load, from `visavis bench ensemble`.
AT_ONCE = 16
#: Turns of the variant, and their length; the unchanged service has one more. A comparison has two pictures, so a turn
#: over HTTP is longer, that enough answers are counted.
_TURNS, _SECONDS = 4, 1.8
_HTTP_TURNS, _HTTP_SECONDS = 3, 2.8
_SETTLE_S, _WARM_UP_S = 0.3, 1.2
#: Requests of a turn of one at a time.
_ONE_AT_A_TIME = 12
#: What the list may take.
BUDGET_S = 12 * 60
#: Measured on two cores: a variant comes up, and ends; a request by itself; an open loop's last answers.
_START_S, _REQUEST_S, _TAIL_S = 5.0, {ENSEMBLE: 0.032, FACEPP: 0.05, JDCLOUD: 0.05}, 0.3
_CONTRACTS: Mapping[str, Callable[[Caller], Contract]] = {FACEPP: FacePp, JDCLOUD: JdCloud}
_GRAPHS = ("face_detector", "face_embedder")
Say = Callable[[str], None]


def measure(variants: Mapping[str, Variant], say: Say, *, whole: bool) -> dict[str, Any]:
    """Measure them and return the record, with what was measured until then where it is ended."""
    record: dict[str, Any] = {
        "made": now(),
        "revision": machine.revision(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "whole": whole,
        "variants": {},
    }
    pace = Pace([Expected("service", _START_S), *(_expected(one) for one in variants.values())], BUDGET_S)
    say(f"{len(variants)} variants, about {minutes(pace.total_s)}")
    for name in {one.pictures for one in variants.values()}:
        pictures(name)
    try:
        with serving() as unchanged:
            for name, variant in variants.items():
                pace.begin(name)
                say(f"[{minutes(pace.elapsed_s)} gone, {minutes(pace.remaining_s)} to go] {name}: {variant.instead}")
                record["variants"][name] = _row(variant, unchanged, pace, say)
    except KeyboardInterrupt:
        record |= {"stopped": True, "whole": False}
    return record | {"elapsed_s": round(pace.elapsed_s)}


def _expected(variant: Variant) -> Expected:
    turns, seconds = _turns(variant)
    all_s = (2 * turns + 1) * (seconds + _TAIL_S + _ONE_AT_A_TIME * _REQUEST_S[variant.load])
    return Expected(variant.name, _START_S + 2 * _WARM_UP_S + all_s)


def _turns(variant: Variant) -> tuple[int, float]:
    """How many, and so many seconds each."""
    return (_TURNS, _SECONDS) if variant.load == ENSEMBLE else (_HTTP_TURNS, _HTTP_SECONDS)


def _row(variant: Variant, unchanged: Service, pace: Pace, say: Say) -> dict[str, Any]:
    told = {"chosen": variant.chosen, "instead": variant.instead, "load": variant.load, "pictures": variant.pictures}
    try:
        with _serving(variant, unchanged) as service:
            row = _Turns(variant, unchanged, service, pace).measured()
    except (ServiceFailed, VariantInvalid, OSError, psutil.Error) as error:
        # One that cannot be served is an answer too, and no reason to lose the others'.
        say(f"  {error}")
        return {**told, "fault": str(error)}
    throughput, latency = row["throughput"], row["one_at_a_time"]
    say(f"  {throughput['share']:.3f} of the pictures, {latency['share']:.3f} of the time of one at a time")
    return {**told, **row}


@contextmanager
def _serving(variant: Variant, unchanged: Service) -> Iterator[Service]:
    """The variant's own service.

    Raises:
        ServiceFailed: it does not come up.
    """
    here = Here(cores(), _in_flight(unchanged), str(unchanged.triton_grpc))
    added = {name: here.filled(value) for name, value in variant.environment.items()}
    arguments = [here.filled(word) for word in variant.arguments]
    with tempfile.TemporaryDirectory(prefix="visavis-variant-") as folder:
        more: dict[str, Any] = {}
        if variant.changes_models:
            more["repository"] = Path(folder) / "model_repository"
            lay_out(variant, here, more["repository"])
        with serving(added, arguments=arguments, name="variant", **more) as service:
            if variant.pinned:
                pin(service.pid)
            yield service


def _in_flight(service: Service) -> int:
    """How many pictures one of its workers lets in."""
    levels = read_levels(service.url)
    return round(levels[LET_IN] / max(1.0, levels["visavis_workers"]))


def pin(pid: int) -> None:
    """Bind each graph's first instance to the first core, its second to the second, and so on."""
    usable = sorted(os.sched_getaffinity(0))
    seen: defaultdict[str, int] = defaultdict(int)
    for process in sorted(psutil.Process(pid).children(recursive=True), key=lambda one: one.pid):
        part = part_of(process.cmdline())
        if part in _GRAPHS:
            for thread in process.threads():
                os.sched_setaffinity(thread.id, {usable[seen[part] % len(usable)]})
            seen[part] += 1


@dataclass(frozen=True, slots=True)
class _Turns:
    """One variant's measurement."""

    variant: Variant
    unchanged: Service
    service: Service
    pace: Pace

    def measured(self) -> dict[str, Any]:
        """Throughput and the time of one at a time, both as variant / unchanged.

        Raises:
            ServiceFailed: one of the two had no good answer.
        """
        known, other = self._load(self.unchanged), self._load(self.service)
        full = self._full(known)
        turns, seconds = _turns(self.variant)
        for load in (known, other):
            full(replace(load, seconds=_WARM_UP_S))
        throughput = bracketed(
            lambda: _goodput(full(known)),
            lambda _: full(other),
            _goodput,
            wanted=turns,
            may_repeat=lambda: self.pace.allows(2 * seconds),
        )
        time_ms = bracketed(
            lambda: _median_ms(run_idle(known, _ONE_AT_A_TIME)),
            lambda _: _median_ms(run_idle(other, _ONE_AT_A_TIME)),
            lambda found: found,
            wanted=turns,
            may_repeat=lambda: self.pace.allows(2 * _ONE_AT_A_TIME * _REQUEST_S[self.variant.load]),
        )
        kinds = sum((Counter(one.result.kinds) for one in throughput.runs), Counter())
        return {"throughput": throughput.as_dict(), "one_at_a_time": time_ms.as_dict(), "answers": dict(kinds)}

    def _load(self, service: Service) -> Load:
        jpegs, seconds = pictures(self.variant.pictures), _turns(self.variant)[1]
        if self.variant.load != ENSEMBLE:
            contract = _CONTRACTS[self.variant.load](service.caller)
            return Load(service.url, contract, bodies(contract, jpegs), rate=1.0, seconds=seconds)
        asked = TritonHttp()
        return Load(f"http://{service.triton_http}", asked, bodies(asked, jpegs), rate=1.0, seconds=seconds)

    def _full(self, known: Load) -> Callable[[Load], Summary]:
        """What fills a service: a closed loop; over HTTP, a rate a little above what it can answer.

        That is what the unchanged service's Triton answers by itself, asked for nothing else: no proxy gets more of it.
        A closed loop would meet refusals, which take no time, and become an overload.
        """
        if self.variant.load == ENSEMBLE:
            return _closed
        asked = TritonHttp()
        alone = Load(f"http://{self.unchanged.triton_http}", asked, bodies(asked, pictures("250")), 1.0, _SECONDS)
        rate = _goodput(_closed(alone)) / known.contract.pictures_per_request
        return lambda load: _summary(run(replace(load, rate=rate)), rate, load.seconds)


def _closed(load: Load) -> Summary:
    return _summary(run_closed(load, AT_ONCE), 0.0, load.seconds)


def _summary(samples: Sequence[Sample], rate: float, seconds: float) -> Summary:
    return summarise(samples, rate=rate, seconds=seconds, settle_s=min(_SETTLE_S, seconds / 2))


def _goodput(summary: Summary) -> float:
    if not summary.goodput:
        raise ServiceFailed(f"no good answer, but {summary.kinds}")
    return summary.goodput


def _median_ms(samples: Sequence[Sample]) -> float:
    found = percentile_ms([sample.latency_s for sample in samples if sample.kind == OK], 50)
    if found is None:
        raise ServiceFailed(f"no good answer, but {sorted({sample.kind for sample in samples})}")
    return found
