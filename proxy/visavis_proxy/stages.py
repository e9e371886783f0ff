"""Where a request's time goes inside the proxy: one stopwatch for each request, moved on by whoever begins a stage.

A request is in one stage at any moment, so that its stages add up to the whole. The stopwatch travels with the
request's own context: who begins a stage needs no request at hand, and what runs outside of one measures nothing.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from enum import IntEnum
from typing import Final


class Stage(IntEnum):
    """In the order in which most requests pass them; numbers, because a stopwatch counts by them."""

    #: Until the body is there.
    READ = 0
    #: Forms, JSON, base64, headers of pictures.
    PARSE = 1
    #: Key, signature and what they may do.
    VERIFY = 2
    #: Calls of the state's store: nonces, rates, quotas, face tokens.
    STATE = 3
    #: Pictures from elsewhere, and the way back in.
    FETCH = 4
    #: From the first picture's way to Triton until the last one's answer is there: both of a comparison at once.
    ENGINE = 5
    #: Comparison and rendering.
    ANSWER = 6
    #: From the answer's first byte to its last.
    SEND = 7


class Stopwatch:
    """Divides the time since it was made among stages; belongs to one request."""

    __slots__ = ("_inside", "_left", "_since", "seconds", "stage")

    def __init__(self) -> None:
        self.stage = Stage.READ
        #: By stage.
        self.seconds = [0.0] * len(Stage)
        #: How many are in a stage at once, and the stage that they left for it.
        self._inside = [0] * len(Stage)
        self._left = [Stage.READ] * len(Stage)
        self._since = time.perf_counter()

    def begin(self, stage: Stage) -> None:
        """What passes from now on belongs to ``stage``."""
        now = time.perf_counter()
        self.seconds[self.stage] += now - self._since
        self.stage, self._since = stage, now

    def enter(self, stage: Stage) -> None:
        """Begin a stage that will be left again; both pictures of a comparison may be in it at once."""
        if not self._inside[stage]:
            self._left[stage] = self.stage
            self.begin(stage)
        self._inside[stage] += 1

    def leave(self, stage: Stage, then: Stage | None = None) -> None:
        """The last one to leave begins ``then``, or goes on with what it left."""
        self._inside[stage] -= 1
        if not self._inside[stage]:
            self.begin(self._left[stage] if then is None else then)

    def stop(self) -> float:
        """All seconds until now."""
        self.begin(self.stage)
        return sum(self.seconds)


_current: Final[ContextVar[Stopwatch | None]] = ContextVar("visavis_stopwatch", default=None)


def start_stopwatch() -> Stopwatch:
    """A new one for all that the current task does from now on, and the tasks that it starts."""
    stopwatch = Stopwatch()
    _current.set(stopwatch)
    return stopwatch


def begin(stage: Stage) -> None:
    """See Stopwatch.begin; of the request that is being answered here."""
    stopwatch = _current.get()
    if stopwatch is not None:
        stopwatch.begin(stage)


class during:
    """A context manager: see Stopwatch.enter and leave. A class, for a generator costs three times as much."""

    __slots__ = ("_stage", "_stopwatch", "_then")

    def __init__(self, stage: Stage, *, then: Stage | None = None) -> None:
        self._stage, self._then = stage, then

    def __enter__(self) -> None:
        self._stopwatch = _current.get()
        if self._stopwatch is not None:
            self._stopwatch.enter(self._stage)

    def __exit__(self, *_: object) -> None:
        if self._stopwatch is not None:
            self._stopwatch.leave(self._stage, self._then)
