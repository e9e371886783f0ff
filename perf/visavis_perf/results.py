"""Results files: one for each run worth keeping, named by date and machine."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visavis_perf.machine import describe, revision, short_name, versions
from visavis_perf.places import RESULTS

#: What every record has, a partial one too.
_ALWAYS = {"made", "revision", "machine", "versions", "quick", "whole", "limits", "elapsed_s", "targets"}


class NoResults(Exception):
    """There is nothing to compare with; the text says how to make it."""


class PlaceUnusable(Exception):
    """Results cannot be written; the text says where."""


def check_writable(*folders: Path) -> None:
    """Asked before the work, which takes minutes.

    Raises:
        PlaceUnusable: a file could not be written there.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise PlaceUnusable(f"{folder} cannot be written to: {error.strerror}") from error


def write(record: Mapping[str, Any], folder: Path = RESULTS, *, again: int = 0) -> Path:
    """Write a record as ``<date>-<machine>.json``; a quick or partial one does not replace a whole one.

    ``again``: for the how many-th time a check measures again; none of these replaces another, nor the bench before.
    """
    kind = ("" if record["whole"] else "-partial") + (f"-again-{again}" if again else "")
    path = folder / f"{record['made'][:10]}-{short_name(record['machine'])}{kind}.json"
    exchange(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def write_soak(told: Mapping[str, Any], folder: Path = RESULTS / "soak") -> Path:
    """Write what a soak told, with what it ran on; in a folder of its own, for it is no bench."""
    made, on = now(), describe()
    record = {"made": made, "revision": revision(), "machine": on, "versions": versions(), **told}
    path = folder / f"{made[:10]}-{short_name(on)}.json"
    exchange(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def exchange(path: Path, contents: bytes) -> None:
    """Write a file whole or not at all; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(contents)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        NoResults: the file is missing or is none.
    """
    try:
        return _parse(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise NoResults(f"{path} cannot be read: {error}") from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise NoResults(f"{name} cannot be read: {error}") from error
    if not isinstance(record, dict) or not record.keys() >= _ALWAYS:
        raise NoResults(f"{name} holds no results of a bench")
    return record


def newest(folder: Path = RESULTS) -> Path:
    """The newest whole results file that lies there.

    Raises:
        NoResults: there is none.
    """
    whole = _whole(path.name for path in folder.glob("*.json"))
    if not whole:
        raise NoResults(f"no results in {folder}: run `visavis bench`")
    return folder / whole[-1]


def committed(machine: Mapping[str, Any], folder: Path = RESULTS) -> tuple[str, dict[str, Any]]:
    """The newest whole record of the last commit for machines of this class, with its file's name.

    A class is what the name says: as many cores, and the same card where one serves, or vector units. What lies in the
    working tree is not asked: a bench of today writes over today's file.

    Raises:
        NoResults: none is committed.
    """
    kind = short_name(machine)
    named = _git("ls-tree", "--name-only", "HEAD", "./", folder=folder).splitlines()
    every = _whole(named)
    whole = [name for name in every if name[11:] == f"{kind}.json"]
    if not whole:
        other = f"compare with another machine's by `--old {folder / every[-1]}`, or " if every else ""
        raise NoResults(
            f"no results of a {kind} machine are committed in {folder}: {other}run `visavis bench`, look at "
            "RESULTS.md, and commit its file"
        )
    return whole[-1], _parse(_git("show", f"HEAD:./{whole[-1]}", folder=folder), whole[-1])


def _whole(names: Iterable[str]) -> list[str]:
    """Names of whole results, oldest first: they begin with the date."""
    return sorted(name for name in names if name.endswith(".json") and "-partial" not in name)


def _git(*arguments: str, folder: Path) -> str:
    """What git prints; nothing where there is no repository or no such folder."""
    try:
        done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, encoding="utf-8", check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def now() -> str:
    """UTC to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
