"""Holds every contract's tests against its document, and prints how much of it they cover.

The convention for a room, ``tests/contracts/<vendor>/``:

* ``document.py`` names what the document names: ``FIELDS``, ``ERRORS`` and ``EXAMPLES``, three collections of strings;
* a test that proves one of them says so: ``@pytest.mark.documented("<vendor>", "field", "img")``; the kinds are
  ``field``, ``error`` and ``example``; several names may stand in one mark, and a mark on one case of a
  parametrised test counts for that case alone.

``test_summary.py`` fails where a name has no test, and where a test claims a name that the document does not know.
"""

from __future__ import annotations

import importlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = {"field": "FIELDS", "error": "ERRORS", "example": "EXAMPLES"}

#: (contract, kind, name)
Point = tuple[str, str, str]


def documented_points(contract: str) -> set[Point]:
    """Everything that a contract's ``document.py`` names."""
    document = importlib.import_module(f"contracts.{contract}.document")
    return {(contract, kind, name) for kind, collection in KINDS.items() for name in getattr(document, collection)}


def contracts() -> list[str]:
    """The rooms that have a ``document.py``."""
    return sorted(path.parent.name for path in HERE.glob("*/document.py"))
