"""When single pictures passed each step inside Triton: its traces, which statistics' sums cannot tell.

A step's own time ends where it gives its outputs (COMPUTE_OUTPUT_START): the next step begins with them at once,
while this one still clears up, until COMPUTE_END.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visavis_perf.triton_statistics import ENSEMBLE, STEPS

#: Where Triton's part of a request begins and ends.
_FIRST, _LAST = (ENSEMBLE, "HTTP_RECV_START"), (ENSEMBLE, "HTTP_SEND_END")
#: More than are ever traced at once: Triton writes a file for so many, and one for the rest when it is told to stop.
_A_FILE = 100_000
_WRITTEN_WITHIN_S = 5.0

#: (model, timestamp's name) -> nanoseconds, of one picture.
Marks = Mapping[tuple[str, str], int]


class TraceMissing(Exception):
    """This Triton cannot be traced; the text says why."""


@dataclass(slots=True)
class Traced:
    """Filled when the tracing is over."""

    pictures: list[Marks] = field(default_factory=list)


@contextmanager
def tracing(http_address: str) -> Iterator[Traced]:
    """Trace every picture that is asked for inside; Triton must run on this machine, since it writes files.

    Raises:
        TraceMissing: it was started without a file to write to, or wrote none.
    """
    file = _ask(http_address).get("trace_file", "")
    if not file or not Path(file).parent.is_dir():
        raise TraceMissing("this Triton was started without --trace-config=triton,file=…, or elsewhere")
    traced = Traced()
    _remove(file)
    _ask(http_address, {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "log_frequency": str(_A_FILE)})
    try:
        yield traced
    finally:
        _ask(http_address, {"trace_level": ["OFF"]})
    traced.pictures += pictures(_written(file))
    _remove(file)


def _ask(http_address: str, change: Mapping[str, object] | None = None) -> dict[str, Any]:
    data = None if change is None else json.dumps(change).encode()
    with urllib.request.urlopen(f"http://{http_address}/v2/trace/setting", data=data, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _files(file: str) -> list[Path]:
    return sorted(Path(file).parent.glob(f"{Path(file).name}*"))


def _remove(file: str) -> None:
    for path in _files(file):
        path.unlink()


def _written(file: str) -> list[dict[str, Any]]:
    """All records, once they are whole: Triton answers before it has written them."""
    deadline = time.monotonic() + _WRITTEN_WITHIN_S
    while time.monotonic() < deadline:
        try:
            records = [record for path in _files(file) for record in json.loads(path.read_bytes())]
        except ValueError:
            records = []
        if records:
            return records
        time.sleep(0.05)
    raise TraceMissing(f"Triton wrote no trace to {file}")


def pictures(records: Iterable[Mapping[str, Any]]) -> list[Marks]:
    """Each traced picture's marks; those that passed other steps than a picture's own are left out.

    A model is told once, with its parent, and its timestamps in records of their own under the same id.
    """
    models: dict[int, str] = {}
    parents: dict[int, int] = {}
    marks: dict[int, dict[str, int]] = {}
    for record in records:
        if "model_name" in record:
            models[record["id"]] = record["model_name"]
            parents[record["id"]] = record.get("parent_id", 0)
        for stamp in record.get("timestamps", ()):
            marks.setdefault(record["id"], {})[stamp["name"]] = stamp["ns"]
    found: dict[int, dict[tuple[str, str], int]] = {}
    for one, model in models.items():
        whole = one if model == ENSEMBLE else parents[one]
        found.setdefault(whole, {}).update({(model, name): ns for name, ns in marks.get(one, {}).items()})
    wanted = {_FIRST, _LAST, *((model, name) for model in STEPS for name in ("QUEUE_START", "COMPUTE_START"))}
    wanted |= {(model, "COMPUTE_OUTPUT_START") for model in STEPS}
    return [found[one] for one in sorted(found) if found[one].keys() >= wanted]


def passed_ms(marks: Marks) -> dict[str, float]:
    """A picture's time in Triton, from its request's first byte to its answer's last, divided without a rest.

    Each step has a row for the way to it (``to detect``), for its queue and for its work.
    """
    rows: dict[str, float] = {}
    at = marks[_FIRST]
    for model, step in STEPS.items():
        for row, name in (
            (f"to {step}", "QUEUE_START"),
            (f"{step}, queue", "COMPUTE_START"),
            (step, "COMPUTE_OUTPUT_START"),
        ):
            now = marks[model, name]
            rows[row] = (now - at) / 1e6
            at = now
    rows["from embed"] = (marks[_LAST] - at) / 1e6
    return rows
