"""Every folder of Python models is a package for mypy, by a link."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_models_python_is_checked() -> None:
    folders = {path.parent for path in (ROOT / "model_repository").glob("*/*/*.py")}
    assert folders
    assert {(ROOT / "typings" / folder.parent.name).resolve() for folder in folders} == folders
