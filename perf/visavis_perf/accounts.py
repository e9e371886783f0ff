"""Where the time of a load went: Triton's account, the proxy's and the cores', before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visavis_perf.processes import CpuTimes, core_ms_per_picture, cpu_times
from visavis_perf.proxy_metrics import mean_ms, read_histograms
from visavis_perf.service import Service
from visavis_perf.triton_statistics import ENSEMBLE, Counters, breakdown, read_counters


@dataclass(frozen=True, slots=True)
class Reading:
    """All accounts at one time."""

    triton: Mapping[str, Counters]
    proxy: Mapping[str, tuple[float, float]]
    cpu: CpuTimes

    @classmethod
    def of(cls, service: Service) -> Reading:
        """The peer has no Triton and shows no metrics."""
        if service.triton_http is None:
            return cls({}, {}, cpu_times(service.pid))
        return cls(read_counters(service.triton_http), read_histograms(service.url), cpu_times(service.pid))


def account(before: Reading, after: Reading, pictures: float | None = None) -> dict[str, Any]:
    """Mean milliseconds of a request by stage, and of one core for a picture by process.

    ``pictures``: those answered well; None means as many as the ensemble took in.
    """
    table: dict[str, Any] = {}
    if after.triton:
        table = {"stages": breakdown(before.triton, after.triton), "proxy": mean_ms(before.proxy, after.proxy)}
        if pictures is None:
            pictures = after.triton[ENSEMBLE].since(before.triton[ENSEMBLE]).inferences
    return table | {"core_ms": core_ms_per_picture(before.cpu, after.cpu, pictures or 0)}
