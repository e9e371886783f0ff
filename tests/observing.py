"""What deploy/observability asks Prometheus for: the metrics and labels of every alert and of every panel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families
from running import ROOT

OBSERVABILITY = ROOT / "deploy" / "observability"
#: Shown by a Triton that sees a GPU, which no test's does:
#: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
OF_A_GPU = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"}

_TEXT = re.compile(r'"[^"]*"')
_NAME = re.compile(r"\b(?:visavis|nv)_\w+")
_SELECTOR = re.compile(r"\b((?:visavis|nv)_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((OBSERVABILITY / "dashboard.json").read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Whose it is, and the expression, its variables filled in as Grafana does."""
    for alert in alerts():
        yield alert["alert"], alert["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def names(expression: str) -> set[str]:
    """The metrics in it."""
    return set(_NAME.findall(_TEXT.sub('""', expression)))


def matchers(expression: str) -> Iterator[tuple[str, str, str, str]]:
    """Metric, label, operator and value of every condition in it."""
    for metric, selector in _SELECTOR.findall(expression):
        for label, operator, value in _MATCHER.findall(selector):
            yield metric, label, operator, value


def samples(text: str) -> dict[str, dict[str, set[str]]]:
    """What Prometheus' text tells: by the name of a sample its labels and their values."""
    found: dict[str, dict[str, set[str]]] = {}
    written = set(re.findall(r"^(\w+)[{ ]", text, re.MULTILINE))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser adds an ending to counters that have none, as Triton's do.
            name = sample.name if sample.name in written else sample.name.removesuffix("_total")
            labels = found.setdefault(name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def file(name: str) -> Path:
    return OBSERVABILITY / name
