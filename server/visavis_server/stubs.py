"""The processes that Triton's Python models live in, one for each instance.

Triton 2.51 starts none anew that has ended or hangs: it goes on calling the model ready, gives the instance its share
of the requests, and answers each of them with an error after a second. So whoever keeps Triton up looks after them.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

_PROCESSES = Path("/proc")
#: States of a process that has ended: a zombie, or on its way to be one.
_ENDED = "ZX"
#: Where the exit status stands in /proc/PID/stat, behind the program's name.
_EXIT_CODE = 49
#: The state of a process that waits for a device, and cannot be ended.
_WAITING = "D"
_INSTANCE = re.compile(r"\w+_\d+_\d+")
#: A state that is no fault before it was seen at so many looks in a row, two of them a second, and what it is then
#: called. Counted, not timed: a machine that slept, or a container that was paused, finds its processes as they were.
_ENDURED: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {"T": (3, "is stopped"), _WAITING: (40, "hangs in the system")}
)


def children_of(pid: int) -> frozenset[int]:
    """The living processes that ``pid`` started itself, and that this one may look at."""
    found: set[int] = set()
    for one in (int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdecimal()):
        # Of somebody else, where the system shows none of those (hidepid, SELinux).
        with suppress(PermissionError):
            if _Seen.of(one, pid).lives:
                found.add(one)
    return frozenset(found)


def waits_for_a_device(pid: int) -> bool:
    """Whether it stands still because the system does, a disk for example, so that it is not to blame itself."""
    with suppress(OSError):
        return _Seen.of(pid, None).state == _WAITING
    return False


class Watch:
    """Looks at Triton and its stubs, as they were when it was ready, again and again."""

    def __init__(self, triton: int) -> None:
        """``triton``: its process id."""
        #: Their parents, where those are known, and what they are called.
        self._watched: dict[int, tuple[int | None, str]] = {triton: (None, "it")}
        for stub in children_of(triton):
            self._watched[stub] = (triton, f"the process of {_name_of(stub)}")
        self._looks: dict[int, tuple[str, int]] = {}

    def fault(self) -> str | None:
        """What is wrong with one of them, at this look or for the last ones; None: nothing."""
        for pid, (parent, name) in self._watched.items():
            try:
                seen = _Seen.of(pid, parent)
            except OSError:
                # This process has no file left to open, for example: the next look may tell more.
                continue
            if not seen.lives:
                return f"{name} {seen.end}"
            state, looks = self._looks.get(pid, ("", 0))
            looks = looks + 1 if seen.state == state else 1
            self._looks[pid] = (seen.state, looks)
            enough, called = _ENDURED.get(seen.state, (looks + 1, ""))
            if looks >= enough:
                return f"{name} {called}"
        return None


class _Seen:
    """A process at one moment."""

    def __init__(self, state: str, end: str) -> None:
        self.state = state
        #: How it ended, where it did and nobody collected it.
        self.end = end

    @property
    def lives(self) -> bool:
        return self.state not in _ENDED

    @classmethod
    def of(cls, pid: int, parent: int | None) -> _Seen:
        """One that is not a child of ``parent``, if that is given, is another one with the same number."""
        try:
            text = (_PROCESSES / str(pid) / "stat").read_text("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return cls("X", "is gone")
        # The program's name stands in brackets, and may have blanks and brackets of its own.
        fields = text.rsplit(")", 1)[1].split()
        if parent is not None and int(fields[1]) != parent:
            return cls("X", "is gone")
        return cls(fields[0], _end(int(fields[_EXIT_CODE])))


def _end(code: int) -> str:
    """What the status that a parent would be given says."""
    number = code & 0x7F
    if not number:
        return f"ended with status {code >> 8}"
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"was ended by signal {number}"


def _name_of(stub: int) -> str:
    """The instance's, such as ``face_detector_0_0``, which Triton gives it among its arguments."""
    with suppress(OSError):
        arguments = (_PROCESSES / str(stub) / "cmdline").read_text("utf-8", "replace").split("\0")
        for argument in arguments:
            if _INSTANCE.fullmatch(argument):
                return argument
    return f"one of its models, {stub},"
