"""The launcher's part in the numbers that the workers show: what it started again, and who does not live any more."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from visavis_proxy.metrics import FOLDER
from visavis_proxy.restarts import write_restarts
from visavis_server.numbers_folder import hold

logger = logging.getLogger(__name__)


class Counting:
    """Writes to the folder where the workers count together; where it cannot, the service goes on."""

    def __init__(self, environment: Mapping[str, str], *, embedded: bool) -> None:
        """``environment``: the workers'; nothing is counted where it names no folder.

        ``embedded``: Triton is the launcher's to start again.
        """
        self._folder = Path(environment[FOLDER]) if FOLDER in environment else None
        #: A folder that was made anew.
        self._held: int | None = None
        self._restarts = dict.fromkeys(("triton", "worker") if embedded else ("worker",), 0)
        self._write()

    def make_folder(self) -> None:
        """Make it anew where it is gone: a worker cannot start without, and systems tidy up in memory."""
        if self._folder is None or self._folder.is_dir():
            return
        with _forgiven():
            held = hold(self._folder)
            if self._held is not None:
                os.close(self._held)
            self._held = held
            self._write()

    def started_again(self, process: str) -> None:
        """Count one restart of ``triton`` or a ``worker``."""
        self._restarts[process] += 1
        self._write()

    def ended(self, pid: int) -> None:
        """Forget what that worker had under way; what it counted stays."""
        if self._folder is not None:
            with _forgiven():
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]

    def _write(self) -> None:
        if self._folder is not None:
            with _forgiven():
                write_restarts(self._folder, self._restarts)


@contextmanager
def _forgiven() -> Iterator[None]:
    """Log an OSError: a full memory, or a folder that is gone."""
    try:
        yield
    except OSError as error:
        logger.error("the numbers in memory cannot be kept up: %s", error)
