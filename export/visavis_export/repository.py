"""The model repository on disk: files appear whole, all of an export together, or nothing changes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from visavis_export.errors import RepositoryUnwritable

DETECTOR, EMBEDDER = "face_detector/1/model.onnx", "face_embedder/1/model.onnx"
RECORD, POINTS = "models.json", "operating_points.json"
_LOCK, _TEMPORARY = ".export.lock", ".export-"


class Repository:
    """One model repository. Triton may be reading it meanwhile: only whole files ever bear its names."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def locked(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Keep other exports out; ``on_wait`` is called once if one is at work.

        What an export that was killed left behind is swept away. One that fails leaves no folder that was not there.

        Raises:
            RepositoryUnwritable: the folder cannot be made or written.
        """
        try:
            made = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
            lock = self._lock(on_wait)
        except OSError as error:
            raise self._unwritable(error) from error
        with lock:
            for leftover in self.root.rglob(f"{_TEMPORARY}*"):
                leftover.unlink(missing_ok=True)
            try:
                yield
            except BaseException:
                if made:
                    self._unmake(made)
                raise

    def _lock(self, on_wait: Callable[[], None]) -> BinaryIO:
        path = self.root / _LOCK
        while True:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = path.open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever held it may have failed and taken the file away: then the lock keeps nobody out.
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
            lock.close()

    def _unmake(self, made: list[Path]) -> None:
        """Remove the folders, the innermost first, unless something stands in them."""
        if [path.name for path in self.root.iterdir()] == [_LOCK]:
            (self.root / _LOCK).unlink()
            with contextlib.suppress(OSError):
                for folder in made:
                    folder.rmdir()

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none.

        Raises:
            RepositoryUnwritable: it cannot be read.
        """
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unwritable(error) from error

    def digest(self, name: str) -> str | None:
        """A file's sha256; None where there is none."""
        data = self.read(name)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def install(self, files: Mapping[str, bytes], record: bytes) -> None:
        """Put all files in place, the record last.

        While files are being exchanged there is no record, so that a crash in between leaves a repository that is
        seen to be unfinished, never one whose record speaks of other graphs.

        Raises:
            RepositoryUnwritable: something failed, a full disk say; the old files are back in their places.
        """
        staged: dict[Path, Path] = {}
        try:
            for name, data in {**files, RECORD: record}.items():
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                staged[target] = target.with_name(f"{_TEMPORARY}new-{target.name}")
                _write(staged[target], data)
            _exchange(staged, self.root / RECORD)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            for temporary in staged.values():
                temporary.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> RepositoryUnwritable:
        return RepositoryUnwritable(
            f"The model repository {self.root} cannot be used ({error.strerror or error}); it is as it was."
        )


def _write(path: Path, data: bytes) -> None:
    """Write and make sure that it is on the disk, not only on its way."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _exchange(staged: Mapping[Path, Path], record: Path) -> None:
    """Rename the new files over the old ones; if that stops half way, for whatever reason, bring the old ones back."""
    old = {target: _second_name(target) for target in staged if target.exists()}
    try:
        record.unlink(missing_ok=True)
        for target, new in staged.items():
            os.replace(new, target)
        for folder in {target.parent for target in staged}:
            _sync_folder(folder)
    except BaseException:
        for target in staged:
            if target in old:
                os.replace(old[target], target)
            else:
                target.unlink(missing_ok=True)
        raise
    finally:
        # Also one that was just renamed: to rename a second name onto the first does nothing.
        for kept in old.values():
            kept.unlink(missing_ok=True)


def _second_name(path: Path) -> Path:
    """A second name for the same content; a copy where the file system has no hard links."""
    second = path.with_name(f"{_TEMPORARY}old-{path.name}")
    try:
        os.link(path, second)
    except OSError:
        shutil.copy2(path, second)
    return second


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
