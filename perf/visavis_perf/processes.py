"""What each part of the service is as processes, and the time that cores spent on it."""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import psutil

TRITON, PROXY, GENERATOR = "triton", "proxy", "generator"
#: Seconds of one core, user and system, by part.
CpuTimes = Mapping[str, float]


def part_of(command_line: Sequence[str]) -> str:
    """A model's name for a stub that runs it, Triton itself, or the proxy: its workers and their supervisor."""
    program = PurePath(command_line[0]).name if command_line else ""
    if program == "tritonserver":
        return TRITON
    if program == "triton_python_backend_stub":
        # A stub is told its model's file: …/<model>/<version>/model.py, or the graph where a backend runs it.
        for word in command_line[1:]:
            path = PurePath(word)
            if path.stem == "model" and len(path.parts) > 3:
                return path.parts[-3]
        return TRITON
    return PROXY


def cpu_times(pid: int) -> CpuTimes:
    """Since each process began, of a process and all its descendants, and of this one, which makes the load.

    Generator processes count when they have ended. A process that ends between two readings takes its time along;
    none of the service's does while it serves.
    """
    found: defaultdict[str, float] = defaultdict(float)
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
            found[part_of(process.cmdline())] += times.user + times.system
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        found[GENERATOR] += usage.ru_utime + usage.ru_stime
    return found


def core_ms_per_picture(before: CpuTimes, after: CpuTimes, pictures: float) -> dict[str, float]:
    """Milliseconds of one core that each part spent between two readings; nothing where no picture was answered."""
    if pictures <= 0:
        return {}
    return {part: round(1000 * (after[part] - before.get(part, 0.0)) / pictures, 3) for part in after}
