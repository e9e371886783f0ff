"""How long to wait before something that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Doubles from failure to failure up to a limit; a run that lasted long enough is no failure of the start."""

    first_s: float = 0.25
    limit_s: float = 30.0
    #: A run of at least this length starts the count anew.
    settled_s: float = 30.0
    _next_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._next_s = self.first_s

    def after(self, lasted_s: float) -> float:
        """Seconds to wait after a run of that length."""
        if lasted_s >= self.settled_s:
            self._next_s = self.first_s
        delay = self._next_s
        self._next_s = min(self.limit_s, delay * 2)
        return delay
