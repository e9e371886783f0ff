"""How long one execution of a Python model may take before its process ends.

Triton notices a process that ended or was stopped, and waits for ever for one that hangs in the midst of its work. The
launcher lays this file beside Triton's own modules for Python models, and starts Triton anew where one of its
processes ended. A Triton that nobody watches so does not have the file: there a model that hangs once is better than
one that is gone.

Time runs on while the process stands still, in a container that is paused for example: an execution that was under way
then ends its process when it goes on, and Triton is started anew.
"""

from __future__ import annotations

import faulthandler
import os
import signal

#: The launcher has checked it. A picture takes less than a tenth of a second, and a caller waits for eight at most.
_SETTING = "VISAVIS_MODEL_EXECUTION_LIMIT_S"
_LIMIT_S = 30.0


class TimeLimit:
    """Around each execution: the system ends the process when its time is over, whatever it is at."""

    def __init__(self, factor: float = 1.0) -> None:
        """``factor``: for a model that may take so many times as long."""
        self._seconds = factor * float(os.environ.get(_SETTING, _LIMIT_S))
        # Where each thread is goes to Triton's log first; then the signal does what it does by itself.
        faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
