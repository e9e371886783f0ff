"""The proxy's own times, from the histograms that it shows to Prometheus."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

#: Histogram with its labels -> (sum of seconds, number of observations).
Histograms = dict[str, tuple[float, float]]


def read_histograms(url: str) -> Histograms:
    """Every histogram in seconds that the service shows at ``/metrics``; none where it shows nothing."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 (http, loopback)
            return parse_histograms(answer.read().decode("utf-8"))
    except OSError:
        return {}


def parse_histograms(text: str) -> Histograms:
    """Read Prometheus's text format."""
    found: Histograms = {}
    for family in text_string_to_metric_families(text):
        if family.type != "histogram" or not family.name.endswith("_seconds"):
            continue
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()) if key != "le")
            key = f"{family.name}{{{labels}}}" if labels else family.name
            if sample.name.endswith("_sum"):
                sums[key] = sample.value
            elif sample.name.endswith("_count"):
                counts[key] = sample.value
        found |= {key: (sums[key], counts[key]) for key in sums if key in counts}
    return found


def mean_ms(before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Mean milliseconds of what was observed between two readings."""
    means = {}
    for key, (total, count) in after.items():
        then_total, then_count = before.get(key, (0.0, 0.0))
        if count > then_count:
            means[key] = round(1000 * (total - then_total) / (count - then_count), 4)
    return means
