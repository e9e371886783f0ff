"""The launcher's part in how long one execution of a Python model may take; see ``backends/time_limit.py``."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Final

from visavis_server.errors import CommandFailed

_SETTING: Final = "VISAVIS_MODEL_EXECUTION_LIMIT_S"
#: A day; the system's timer takes no endless time.
_MOST_S: Final = 86_400.0


def execution_limit(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The setting as Triton's processes are to have it, if there is one.

    Raises:
        CommandFailed: it is no such time.
    """
    text = environment.get(_SETTING)
    if text is None:
        return {}
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MOST_S:
        raise CommandFailed(f"{_SETTING}: {text!r} is not a number of seconds above 0, {_MOST_S:.0f} at most")
    return {_SETTING: str(seconds)}
