"""Triton's own load generator: where it is, one run of it, and what it wrote."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from visavis_perf.places import SHARED
from visavis_perf.samples import needed
from visavis_perf.scenario_files import Scenario

_RUN_TIMEOUT_S = 300
_COUNT = re.compile(r"Request count: (\d+)")
_WINDOW = re.compile(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec")


class PerfAnalyzerFailed(Exception):
    """It is not installed, or a run gave no figures; the text has its last words."""


def find_perf_analyzer() -> str:
    """``PERF_ANALYZER``, the search path, the wheel's binary, or the checkout's neighbour, in this order.

    Raises:
        PerfAnalyzerFailed: it is nowhere.
    """
    named = os.environ.get("PERF_ANALYZER")
    found = shutil.which(named or "perf_analyzer")
    beside = SHARED / "tools" / "perf_analyzer"
    if found is None and named is None and beside.is_file():
        found = str(beside)
    if found is None:
        raise PerfAnalyzerFailed(
            f"{named} is no program"
            if named
            else "perf_analyzer is missing: `pip install perf-analyzer` on a host "
            "with glibc 2.38, or name it with PERF_ANALYZER"
        )
    return found


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a scenario's sweep; latencies and stages in milliseconds."""

    value: str
    #: Pictures a second: requests times batch.
    images_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    #: perf_analyzer's own parts of the mean request: client, network, queue and compute.
    parts_ms: dict[str, float]
    #: Pictures a second of each of the three windows that the figures are means of.
    windows: tuple[float, ...]
    #: Requests in all of them, of which the percentiles are.
    answers: int

    def percentile_ms(self, percent: int) -> float | None:
        """The 95th or the 99th, where the answers suffice."""
        return (self.p95_ms if percent == 95 else self.p99_ms) if self.answers >= needed(percent) else None

    def as_dict(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self) | {"p95_ms": self.percentile_ms(95), "p99_ms": self.percentile_ms(99)}


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a point takes: three windows of so long, always.

    perf_analyzer would rather go on until three windows agree, and writes nothing where they never do, which on a
    small machine is often. Here they are taken as they come, and how far they lie apart is told.
    """

    window_ms: int = 2000


def command(program: str, scenario: Scenario, value: str, address: str, input_file: Path, effort: Effort) -> list[str]:
    """The command line of one point, but for where it writes."""
    flags = [flag.replace("{input}", str(input_file)) for flag in scenario.flags]
    return [
        program,
        *flags,
        *(scenario.sweep_flag, f"{value}:{value}" if scenario.sweep_flag.endswith("-range") else value),
        *("-i", scenario.protocol, "-u", address),
        *("--measurement-interval", str(effort.window_ms), "--max-trials", "3", "--stability-percentage", "999"),
    ]


def run_point(scenario: Scenario, value: str, address: str, input_file: Path, effort: Effort) -> Point:
    """Run perf_analyzer against Triton's ``address`` for the scenario's protocol.

    Raises:
        PerfAnalyzerFailed: it gave no figures.
    """
    arguments = command(find_perf_analyzer(), scenario, value, address, input_file, effort)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "figures.csv"
        try:
            ended = subprocess.run(
                [*arguments, "-v", "-f", str(written)],
                capture_output=True,
                text=True,
                timeout=_RUN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PerfAnalyzerFailed(f"{scenario.name} at {value} took longer than {_RUN_TIMEOUT_S} s") from None
        if not written.is_file():
            words = " ".join((ended.stdout + ended.stderr).split())[-400:]
            raise PerfAnalyzerFailed(f"{scenario.name} at {value} gave no figures: {words}")
        text = written.read_text("utf-8")
    return parse(text, value, windows=read_windows(ended.stdout), answers=read_count(ended.stdout))


def read_windows(text: str) -> tuple[float, ...]:
    """The throughput of each window, from what perf_analyzer says with ``-v``."""
    return tuple(float(rate) for rate in _WINDOW.findall(text))


def read_count(text: str) -> int:
    """Requests of all windows together, which are told last."""
    counts = _COUNT.findall(text)
    return int(counts[-1]) if counts else 0


def parse(text: str, value: str, *, windows: tuple[float, ...], answers: int) -> Point:
    """Read perf_analyzer's CSV of one point; its times are microseconds.

    Raises:
        PerfAnalyzerFailed: there is no row of figures in it.
    """
    row = next(csv.DictReader(text.splitlines()), None)
    if row is None:
        raise PerfAnalyzerFailed(f"no figures for {value}: the file has no row")
    latency = {percent: float(row[f"p{percent} latency"]) / 1000 for percent in (50, 95, 99)}
    parts = {
        name: round(float(row[name]) / 1000, 4)
        for name in row
        if name and (name.startswith(("Client", "Server")) or "Network" in name) and row[name]
    }
    rate = float(row["Inferences/Second"])
    return Point(value, rate, latency[50], latency[95], latency[99], parts, windows, answers)
