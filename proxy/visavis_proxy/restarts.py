"""How often the launcher started something again: counted by it, shown by whichever worker is asked.

It is a file in the folder where the workers count together, because the launcher itself answers no request.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FILE: Final = "restarts.json"


def write_restarts(folder: Path, counts: Mapping[str, int]) -> None:
    """By process, ``triton`` or ``worker``; a reader sees the old counts or the new ones."""
    draft = folder / f".{_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(counts), "utf-8")
    draft.replace(folder / _FILE)


def read_restarts(folder: Path) -> dict[str, int]:
    """Nothing where no launcher counts."""
    try:
        return {str(process): int(count) for process, count in json.loads((folder / _FILE).read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        return {}
