"""Which model repository a command means that names none, and which one it may fill."""

from __future__ import annotations

from pathlib import Path

_NAME = "model_repository"


def own_repository(data_dir: Path) -> Path:
    """The data directory's, for whoever has no checkout; the export fills it."""
    return data_dir / _NAME


def default_repository(data_dir: Path) -> Path:
    """The current folder's, as in a checkout; else the data directory's own."""
    here = Path(_NAME)
    return here if here.is_dir() else own_repository(data_dir)
