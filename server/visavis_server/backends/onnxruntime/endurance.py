"""When a process that only fails has to end.

After some errors of CUDA nothing works any more in the process that saw them, and Triton calls its model ready all the
same. Faulty requests must not end it, though. So failures in a row are counted, and then the model is tried with rows
of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from .configuration import ExecutionFault

#: So many executions in a row.
LIMIT = 5


class Endurance:
    """Counts failures in a row."""

    def __init__(self, trial: Callable[[], object], limit: int = LIMIT) -> None:
        """``trial`` computes what cannot be at fault itself, and raises ExecutionFault where the device is."""
        self._trial = trial
        self._limit = limit
        self._failures = 0

    def succeeded(self) -> None:
        """An execution gave answers."""
        self._failures = 0

    def is_spent(self) -> bool:
        """To be asked after each execution that failed: whether nothing works here any more."""
        self._failures += 1
        if self._failures < self._limit:
            return False
        self._failures = 0
        try:
            self._trial()
        except ExecutionFault:
            return True
        return False
