"""Files that a reader sees old or new, never in part."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class PlaceUnusable(Exception):
    """Nothing can be kept there; the text says why."""


def check_writable(*files: Path) -> None:
    """Ask before the work, which may take an hour, whether its results can be written; leaves no trace.

    Raises:
        PlaceUnusable: a file of that name could not be written, even with its folder made.
    """
    for path in files:
        try:
            if path.is_dir():
                raise PlaceUnusable(f"{path} cannot be written: it is a folder")
            there = next(folder for folder in path.absolute().parents if folder.exists())
        except OSError as error:
            raise PlaceUnusable(f"{path} cannot be written: {error.strerror}") from error
        if not there.is_dir():
            raise PlaceUnusable(f"{path} cannot be written: {there} is no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PlaceUnusable(f"{path} cannot be written: {there} may not be written to")


def write_bytes(path: Path, contents: bytes) -> None:
    """Write beside the file and exchange the two; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(contents)
            sink.flush()
            os.fsync(sink.fileno())
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """In UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """Indented, names as they are written."""
    write_text(path, json.dumps(contents, indent=2, ensure_ascii=False) + "\n")
