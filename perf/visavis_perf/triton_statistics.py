"""Where each millisecond of a picture goes inside Triton: its statistics before and after a load."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: What each model does, in the order in which a picture passes them.
STEPS = {"image_decoder": "decode", "face_detector": "detect", "face_aligner": "align", "face_embedder": "embed"}
STAGES = tuple(STEPS)
ENSEMBLE = "face_analysis"


@dataclass(frozen=True, slots=True)
class Counters:
    """A model's counts since it was loaded; times in nanoseconds, summed over requests."""

    requests: int
    failures: int
    executions: int
    inferences: int
    queue_ns: int
    input_ns: int
    infer_ns: int
    output_ns: int
    total_ns: int

    def since(self, before: Counters) -> Counters:
        """What was added."""
        mine, theirs = asdict(self), asdict(before)
        return Counters(**{name: mine[name] - theirs[name] for name in mine})

    def per_request_ms(self) -> dict[str, float]:
        """Mean milliseconds of a request, by part, its mean rows, and the mean batch of an execution."""
        requests = max(1, self.requests)
        parts = {
            "queue": self.queue_ns,
            "input": self.input_ns,
            "infer": self.infer_ns,
            "output": self.output_ns,
            "total": self.total_ns,
        }
        table = {name: round(value / requests / 1e6, 4) for name, value in parts.items()}
        table["rows"] = round(self.inferences / requests, 3)
        return table | {"batch": round(self.inferences / max(1, self.executions), 2)}


def read_counters(http_address: str) -> dict[str, Counters]:
    """Every model's counters, asked of Triton's HTTP port, ``host:port``."""
    with urllib.request.urlopen(f"http://{http_address}/v2/models/stats", timeout=10) as answer:
        return parse_counters(json.load(answer))


def parse_counters(answer: Mapping[str, Any]) -> dict[str, Counters]:
    """Read the statistics extension's answer."""
    return {model["name"]: _counters(model) for model in answer["model_stats"]}


def _counters(model: Mapping[str, Any]) -> Counters:
    stats = model["inference_stats"]

    def ns(part: str) -> int:
        return int(stats.get(part, {}).get("ns", 0))

    return Counters(
        requests=int(stats.get("success", {}).get("count", 0)),
        failures=int(stats.get("fail", {}).get("count", 0)),
        executions=int(model.get("execution_count", 0)),
        inferences=int(model.get("inference_count", 0)),
        queue_ns=ns("queue"),
        input_ns=ns("compute_input"),
        infer_ns=ns("compute_infer"),
        output_ns=ns("compute_output"),
        total_ns=ns("success"),
    )


def breakdown(before: Mapping[str, Counters], after: Mapping[str, Counters]) -> dict[str, dict[str, float]]:
    """Mean milliseconds of each stage between two readings; models that were not asked are left out.

    The ensemble's own row is the whole.
    """
    added = {name: after[name].since(before[name]) for name in (*STAGES, ENSEMBLE) if name in after and name in before}
    return {name: counters.per_request_ms() for name, counters in added.items() if counters.requests}


def divided_ms(rows: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """A picture's mean time in Triton without a rest: each step's queue and work, and what is between steps.

    ``rows`` as breakdown has them. A step's output is not counted: it gives its tensors to the next step first, which
    begins at once, and clears up meanwhile. So ``between`` has the handing on; below 0 it would say that steps overlap.
    """
    parts: dict[str, float] = {}
    for model, step in STEPS.items():
        row = rows.get(model, {})
        parts[f"{step}, queue"] = row.get("queue", 0.0)
        parts[step] = row.get("input", 0.0) + row.get("infer", 0.0)
    parts["between steps"] = rows.get(ENSEMBLE, {}).get("total", 0.0) - sum(parts.values())
    return parts
