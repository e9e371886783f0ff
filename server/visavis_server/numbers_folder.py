"""The folder where the workers count together.

It lies in memory: the workers map its files, and the system ends a process that writes to a page for which a full disk
has no room. Beside the state it would take the service down where the contracts still have answers.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visavis_server.guard import SHARED_MEMORY

_PREFIX = "visavis_numbers_"


@contextmanager
def numbers_folder(data_dir: Path, memory: Path = SHARED_MEMORY) -> Iterator[Path]:
    """An empty one, while the service runs; ``data_dir/metrics`` leads to it.

    By that a start finds what a service that was killed left in memory.
    """
    link = data_dir / "metrics"
    _remove(link)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=memory if memory.is_dir() else data_dir))
    try:
        link.symlink_to(folder.resolve())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        link.unlink(missing_ok=True)


def _remove(link: Path) -> None:
    """Also a folder in its place, as former releases made it."""
    if not link.is_symlink():
        shutil.rmtree(link, ignore_errors=True)
        return
    folder = link.readlink()
    if folder.name.startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    link.unlink()
