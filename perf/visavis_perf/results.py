"""Results files: one for each run worth keeping, named by date and machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visavis_perf.machine import short_name
from visavis_perf.places import RESULTS


class NoResults(Exception):
    """There is nothing to compare with; the text says how to make it."""


def write(record: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write a record as ``<date>-<machine>.json``; a quick or partial one does not replace a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "" if record["whole"] else "-partial"
    path = folder / f"{record['made'][:10]}-{short_name(record['machine'])}{kind}.json"
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    draft.replace(path)
    return path


def read(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        NoResults: the file is missing or is none.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NoResults(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict) or "limits" not in record:
        raise NoResults(f"{path} holds no results of a bench")
    return record


def newest(folder: Path = RESULTS, *, cores: int | None = None, gpu: bool = False) -> Path:
    """The newest whole results file of a machine with as many cores and, or not, a card; else of any machine.

    Raises:
        NoResults: there is none.
    """
    whole = [path for path in sorted(folder.glob("*.json")) if not path.stem.endswith("-partial")]
    if not whole:
        raise NoResults(f"no results in {folder} to compare with: run `visavis bench` and commit its file")
    alike = [
        path for path in whole if (machine := read(path)["machine"])["cores"] == cores and bool(machine["gpu"]) == gpu
    ]
    return (alike or whole)[-1]


def now() -> str:
    """UTC to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
