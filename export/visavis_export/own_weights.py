"""Weights that we neither pin nor fetch: a file of the user's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import httpx

from visavis_export.errors import WeightsUnavailable, WeightsWrong
from visavis_export.pack import OwnWeights
from visavis_export.weights import LockEntry, Weights, WeightsFile, digest

#: For the connection and for every piece; and what a file of protobuf can hold.
_TIMEOUT_S, _MOST_BYTES = 30.0, 2**31


def read_own(own: OwnWeights, part: str, licence: str, folder: Path | None, cache: Path) -> tuple[LockEntry, Weights]:
    """The file's content, and an entry that says the pack's licence of it.

    Raises:
        WeightsUnavailable: there is no such file, the folder has several, or it cannot be downloaded.
        WeightsWrong: the pack pins another digest.
    """
    path = own.path
    if path is None and folder is not None:
        path = _found(own, part, folder)
    if path is None and own.url is not None:
        path = _downloaded(own.url, own.sha256 or "", cache)
    if path is None:
        raise WeightsUnavailable(f"The pack has no {part} without yours: say --{part} or --weights-dir.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read: {error.strerror or error}.") from error
    if own.sha256 not in {None, digest(data)}:
        raise WeightsWrong(f"{path} has the sha256 {digest(data)}, but the pack says {own.sha256}; it was not used.")
    file = WeightsFile(path.name, digest(data), None, "")
    return LockEntry(licence, "a file of the user's", (file,)), Weights(file, data)


def _found(own: OwnWeights, part: str, folder: Path) -> Path:
    """The one file in the folder that fits the first pattern that fits any."""
    for pattern in own.names:
        found = sorted(folder.glob(pattern))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise WeightsUnavailable(f"{folder} holds more than one {part}, {names}: say which with --{part}.")
        if found:
            return found[0]
    raise WeightsUnavailable(f"{folder} holds no {part}, nothing named {' or '.join(own.names)}.")


def _downloaded(url: str, sha256: str, cache: Path) -> Path:
    """The file's place in the cache, under its digest; fetched unless it is there already."""
    path = cache / f"{sha256}.onnx"
    try:
        if path.is_file() and digest(path.read_bytes()) == sha256:
            return path
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
            fetched = Path(folder) / path.name
            _download(url, fetched)
            found = digest(fetched.read_bytes())
            if found != sha256:
                raise WeightsWrong(f"{url} has the sha256 {found}, but the pack says {sha256}; it was not used.")
            os.replace(fetched, path)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WeightsUnavailable(f"{url} was not downloaded: {error or type(error).__name__}.") from error
    except OSError as error:
        raise WeightsUnavailable(f"{url} cannot be kept in {cache}: {error.strerror or error}.") from error
    return path


def _download(url: str, target: Path) -> None:
    size = 0
    with httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT_S) as answer, target.open("wb") as file:
        if answer.status_code != httpx.codes.OK:
            raise WeightsUnavailable(f"{url} was not downloaded: it answers {answer.status_code}.")
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > _MOST_BYTES:
                raise WeightsUnavailable(f"{url} was not downloaded: it is larger than ONNX files can be.")
            file.write(piece)
