"""The folder where the workers count together.

It lies in memory: the workers map its files, and the system ends a process that writes to a page for which a full disk
has no room. Beside the state it would take the service down where the contracts still have answers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from visavis_server.errors import CommandFailed
from visavis_server.guard import SHARED_MEMORY

_PREFIX = "visavis_numbers_"
#: A folder that is younger may have an owner who has not yet taken hold of it.
_NEW_S = 10.0


@contextmanager
def numbers_folder(memory: Path = SHARED_MEMORY) -> Iterator[Path]:
    """An empty one, while the service runs; those that killed services left are taken away.

    Raises:
        CommandFailed: there is no place for one.
    """
    folder, held = _make(memory)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def hold(folder: Path) -> int:
    """Make it, unless it is there, and take hold of it for as long as the returned file descriptor is open.

    Another service takes it away when nobody holds it.

    Raises:
        OSError: it cannot be had, or another process holds it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def _make(memory: Path) -> tuple[Path, int]:
    # It may be missing, full, or another user's alone.
    with suppress(OSError):
        return _make_in(memory)
    try:
        return _make_in(Path(tempfile.gettempdir()))
    except OSError as error:
        raise CommandFailed(
            f"the workers' numbers have no place in {memory}, nor among temporary files: {error.strerror}"
        ) from error


def _make_in(place: Path) -> tuple[Path, int]:
    _remove_abandoned(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    return folder, hold(folder)


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        # Gone meanwhile, another user's, or held.
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                status = os.fstat(held)
                if status.st_uid == os.getuid() and time.time() - status.st_mtime > _NEW_S:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
