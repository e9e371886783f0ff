"""Triton's own load generator: where it is, one run of it, and what it wrote."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from visavis_perf.places import SHARED
from visavis_perf.samples import needed
from visavis_perf.scenario_files import Scenario

_RUN_TIMEOUT_S = 300
#: One that fetches what it needs, as the checkout's neighbour, does so when it is first called.
_FIRST_RUN_TIMEOUT_S = 120
_WORDS = 200
_REMEDY = (
    "no perf_analyzer runs here: `.venv/bin/pip install 'perf-analyzer>=2.60'` where glibc is 2.38 or newer "
    "(Debian 13, Ubuntu 24.04); elsewhere name one that runs with PERF_ANALYZER"
)
_COUNT = re.compile(r"Request count: (\d+)")
_WINDOW = re.compile(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec")


class PerfAnalyzerFailed(Exception):
    """A run gave no figures, or the program that ``PERF_ANALYZER`` names is none; the text has its last words."""


class PerfAnalyzerMissing(PerfAnalyzerFailed):
    """None was found that runs here; the text says how to get one."""


def find_perf_analyzer() -> str:
    """``PERF_ANALYZER`` alone, or the first that runs: of this environment, the search path, the checkout's neighbour.

    Raises:
        PerfAnalyzerMissing: there is none.
        PerfAnalyzerFailed: the one that was named does not run.
    """
    named = os.environ.get("PERF_ANALYZER")
    if named is not None:
        found = shutil.which(named)
        fault = _fault_of(found) if found else "there is no such program"
        if found is None or fault:
            raise PerfAnalyzerFailed(f"PERF_ANALYZER names {named}: {fault}")
        return found
    faults = []
    for candidate in _candidates():
        fault = _fault_of(candidate)
        if fault is None:
            return candidate
        faults.append(f"; {candidate}: {fault}")
    raise PerfAnalyzerMissing(_REMEDY + "".join(faults))


def _candidates() -> list[str]:
    """Make and a program that is called by its path leave the environment's own folder out of the search path."""
    beside = shutil.which("perf_analyzer", path=str(Path(sys.executable).parent))
    neighbour = shutil.which(SHARED / "tools" / "perf_analyzer")
    return [str(found) for found in (beside, shutil.which("perf_analyzer"), neighbour) if found]


@cache
def _fault_of(program: str) -> str | None:
    """Why it does not run here: one for a newer glibc is found and ends at once."""
    try:
        ended = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_FIRST_RUN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"gave no version within {_FIRST_RUN_TIMEOUT_S} s"
    except OSError as error:
        return str(error.strerror)
    words = " ".join((ended.stdout + ended.stderr).split())[:_WORDS]
    return None if ended.returncode == 0 else words or f"ended with status {ended.returncode}"


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
