"""Which model repository a command means that names none, and which one it may fill.

Never one of the folder that a command happens to be typed in: the Python files of a repository are run.
"""

from __future__ import annotations

from pathlib import Path

_NAME = "model_repository"


def checkout() -> Path | None:
    """The checkout that this package runs from, as after `make serve`; None where it was installed from a wheel."""
    package = Path(__file__).resolve().parent
    root = package.parents[1]
    return root if package.parent.name == "server" and (root / _NAME).is_dir() else None


def own_repository(data_dir: Path) -> Path:
    """The data directory's, for whoever has no checkout; the export fills it."""
    return data_dir / _NAME


def default_repository(data_dir: Path) -> Path:
    """The checkout's, from whatever folder; without a checkout the data directory's own."""
    root = checkout()
    return own_repository(data_dir) if root is None else root / _NAME
