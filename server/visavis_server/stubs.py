"""The processes that Triton's Python models live in, one for each instance.

Triton 2.51 starts none anew that has ended: it goes on calling the model ready, gives the instance its share of the
requests, and answers each of them with an error after a second. So whoever keeps Triton up has to look after them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_PROCESSES = Path("/proc")
#: States of a process that has ended: a zombie, or on its way to be one.
_ENDED = "ZX"


def children_of(pid: int) -> frozenset[int]:
    """The living processes that ``pid`` started itself."""
    every = (int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdecimal())
    return frozenset(one for one in every if _lives_below(one, pid))


def all_live(pids: Iterable[int], parent: int) -> bool:
    """Whether each of them lives and is still a child of ``parent``."""
    return all(_lives_below(pid, parent) for pid in pids)


def _lives_below(pid: int, parent: int) -> bool:
    try:
        # The program's name stands in brackets, and may have blanks and brackets of its own.
        state, its_parent = (_PROCESSES / str(pid) / "stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in _ENDED and int(its_parent) == parent
