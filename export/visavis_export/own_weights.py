"""Weights that we neither pin nor fetch: a file of the user's."""

from __future__ import annotations

from pathlib import Path

from visavis_export.errors import WeightsUnavailable, WeightsWrong
from visavis_export.pack import OwnWeights
from visavis_export.weights import LockEntry, Weights, WeightsFile, digest


def read_own(own: OwnWeights, part: str, licence: str, folder: Path | None) -> tuple[LockEntry, Weights]:
    """The file's content, and an entry that says the pack's licence of it.

    Raises:
        WeightsUnavailable: there is no such file, or the folder has several.
        WeightsWrong: the pack pins another digest.
    """
    path = own.path or _found(own, part, folder)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read: {error.strerror or error}.") from error
    if own.sha256 not in {None, digest(data)}:
        raise WeightsWrong(f"{path} has the sha256 {digest(data)}, but the pack says {own.sha256}; it was not used.")
    file = WeightsFile(path.name, digest(data), None, "")
    return LockEntry(licence, "a file of the user's", (file,)), Weights(file, data)


def _found(own: OwnWeights, part: str, folder: Path | None) -> Path:
    """The one file in the folder that fits the first pattern that fits any."""
    if folder is None:
        raise WeightsUnavailable(f"The pack has no {part} without yours: say --{part} or --weights-dir.")
    for pattern in own.names:
        found = sorted(folder.glob(pattern))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise WeightsUnavailable(f"{folder} holds more than one {part}, {names}: say which with --{part}.")
        if found:
            return found[0]
    raise WeightsUnavailable(f"{folder} holds no {part}, nothing named {' or '.join(own.names)}.")
