"""The launcher's part in the numbers that the workers show: what it started again, and who does not live any more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from visavis_proxy.metrics import FOLDER
from visavis_proxy.restarts import write_restarts


class Counting:
    """Writes to the folder where the workers count together."""

    def __init__(self, environment: Mapping[str, str], *, embedded: bool) -> None:
        """``environment``: the workers'; nothing is counted where it names no folder.

        ``embedded``: Triton is the launcher's to start again.
        """
        self._folder = Path(environment[FOLDER]) if FOLDER in environment else None
        self._restarts = dict.fromkeys(("triton", "worker") if embedded else ("worker",), 0)
        self._write()

    def started_again(self, process: str) -> None:
        """Count one restart of ``triton`` or a ``worker``."""
        self._restarts[process] += 1
        self._write()

    def ended(self, pid: int) -> None:
        """Forget what that worker had under way; what it counted stays."""
        if self._folder is not None:
            mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]

    def _write(self) -> None:
        if self._folder is not None:
            write_restarts(self._folder, self._restarts)
