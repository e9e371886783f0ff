"""What the host gave to other machines of this one's cores: it slows a run, and no neighbour of the run shows it."""

from __future__ import annotations

import psutil

#: A part of the cores' time. Two cores of a shared host lose a hundredth or two for most of the time.
MUCH = 0.05
#: Core-seconds. Of less, the kernel's counts of a hundredth each tell too little.
_LEAST_S = 1.5


class StealMeter:
    """Reads the kernel's counts of all cores together."""

    def __init__(self) -> None:
        self._total_s, self._stolen_s = _counted()

    def share(self) -> float:
        """The stolen part of the cores' time since the last call.

        0 of a time too short to tell, and where the kernel counts none: on a machine of one's own, say.
        """
        total_s, stolen_s = _counted()
        past_s, taken_s = total_s - self._total_s, stolen_s - self._stolen_s
        self._total_s, self._stolen_s = total_s, stolen_s
        return taken_s / past_s if past_s >= _LEAST_S else 0.0


def _counted() -> tuple[float, float]:
    """Core-seconds since the machine began, all of them and the stolen ones."""
    times = psutil.cpu_times()._asdict()
    # A guest's time is in the user's as well.
    total = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))
    return total, times.get("steal", 0.0)
