"""Where the time of a load went: Triton's account, the proxy's and the cores', before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visavis_perf.milliseconds import divided_request_ms
from visavis_perf.processes import CpuTimes, core_ms_per_picture, cpu_times
from visavis_perf.proxy_metrics import ProxyTimes, read_times
from visavis_perf.service import Service
from visavis_perf.triton_statistics import ENSEMBLE, Counters, breakdown, divided_ms, read_counters


@dataclass(frozen=True, slots=True)
class Reading:
    """All accounts at one time."""

    triton: Mapping[str, Counters]
    proxy: ProxyTimes
    cpu: CpuTimes

    @classmethod
    def of(cls, service: Service, *, quiet_s: float | None = None) -> Reading:
        """The peer has no Triton and shows no metrics.

        ``quiet_s``: for so long at least nobody has asked the service anything (`proxy_metrics.py`). None leaves the
        proxy's times out, and waits for nothing.
        """
        if service.triton_http is None:
            return cls({}, ProxyTimes(), cpu_times(service.pid))
        proxy = ProxyTimes() if quiet_s is None else read_times(service.url, quiet_s=quiet_s)
        return cls(read_counters(service.triton_http), proxy, cpu_times(service.pid))


def account(
    before: Reading, after: Reading, pictures: float | None = None, *, caller_ms: float | None = None
) -> dict[str, Any]:
    """Mean milliseconds of a picture by step of Triton's, and of one core for a picture by process.

    ``pictures``: those answered well; None means as many as the ensemble took in. ``caller_ms``: what an answer took as
    the caller saw it, on the mean; then the request's milliseconds are divided, too, if both readings have the proxy's.
    """
    table: dict[str, Any] = {}
    if after.triton:
        table = {"stages": breakdown(before.triton, after.triton)}
        proxy = after.proxy.since(before.proxy)
        if caller_ms is not None and proxy.requests:
            table["milliseconds"] = divided_request_ms(
                caller_ms, proxy, table["stages"].get(ENSEMBLE, {}).get("total", 0.0), divided_ms(table["stages"])
            )
        if pictures is None:
            pictures = after.triton[ENSEMBLE].since(before.triton[ENSEMBLE]).inferences
    return table | {"core_ms": core_ms_per_picture(before.cpu, after.cpu, pictures or 0)}
