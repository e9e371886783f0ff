"""How many processor cores this process may use: fewer than the machine has where it is bound or limited."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """At least 1: those that this process is bound to, or as many as its container's quota amounts to, rounded up."""
    bound = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min(bound, _quota(_own_cgroup()))))


def _own_cgroup() -> Path:
    """The folder of this process's control group, version 2; the root of all where it cannot be told."""
    try:
        lines = _OWN_CGROUP.read_text("utf-8").splitlines()
    except OSError:
        return _CGROUPS
    named = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    return _CGROUPS / named


def _quota(group: Path) -> float:
    """Cores that ``group`` and those above it grant, infinite where nothing is limited."""
    granted = math.inf
    for folder in (group, *group.parents):
        if not folder.is_relative_to(_CGROUPS):
            break
        try:
            quota, period = (folder / "cpu.max").read_text("utf-8").split()
            granted = min(granted, int(quota) / int(period))
        except (OSError, ValueError):
            # No such file, or "max": this group sets no limit.
            continue
    return granted
