"""What runs here: the software's version, and the models behind it."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """Short texts, for a metric's labels."""

    version: str
    #: Of the models: the pack's name, the embedder that templates belong to, fp32 or fp16.
    pack: str = UNKNOWN
    identity: str = UNKNOWN
    precision: str = UNKNOWN

    @classmethod
    def read(cls, repository: Path) -> Self:
        """By the repository's ``models.json``; what it does not tell is UNKNOWN."""
        try:
            told = json.loads((repository / "models.json").read_bytes())
            models = {name: str(told.get(name, UNKNOWN)) for name in ("pack", "identity", "precision")}
        except (OSError, ValueError, AttributeError):
            models = {}
        return cls(installed_version(), **models)


def installed_version() -> str:
    """The distribution's version; the containers copy the source and install no distribution."""
    try:
        return importlib.metadata.version("visavis")
    except importlib.metadata.PackageNotFoundError:
        return "from the source"
