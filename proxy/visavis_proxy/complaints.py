"""Why what the proxy stands on fails, in its own words, which no answer repeats.

Only for errors whose texts are the project's, Triton's, SQLite's or Redis' own: none of them repeats a picture or a
secret. Those of other exceptions may (see faults.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

#: Lines of one kind of error are at least so far apart: an outage must not fill the disk that it may come from.
_APART_S: Final = 30.0
_LONGEST: Final = 300


class Complaints:
    """Lines of a log about errors that come by the thousand."""

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        #: By the error's kind: when its last line was written, and how many errors had none since.
        self._told: dict[type[Exception], tuple[float, int]] = {}

    def tell(self, error: Exception) -> None:
        """Log it, unless one of its kind was logged a moment ago: then it is counted in the next line."""
        now = self._clock()
        last, untold = self._told.get(type(error), (-_APART_S, 0))
        if now - last < _APART_S:
            self._told[type(error)] = (last, untold + 1)
            return
        self._told[type(error)] = (now, 0)
        words = " ".join(str(error).split())[:_LONGEST]
        since = f" (and {untold} more since the last such line)" if untold else ""
        self._log.error("%s: %s%s", type(error).__name__, words, since)
