"""Puts the model repository's hand-written files into the wheel, for hatchling; never a graph or a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where `visavis_export.configurations` looks for them.
_PLACE = "visavis_export/model_repository"
_SUFFIXES = {".pbtxt", ".py"}


class ModelRepository(BuildHookInterface[Any]):
    """Chooses by kind of file: a folder included as a whole would bring the graphs that an export put there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; an editable install reads the checkout's own folder."""
        if version == "editable":
            return
        source = Path(self.root) / "model_repository"
        for path in sorted(source.rglob("*")):
            # Triton wants a model's version folder, which a wheel cannot hold empty.
            if path.suffix in _SUFFIXES or path.name == ".gitkeep":
                build_data["force_include"][str(path)] = f"{_PLACE}/{path.relative_to(source).as_posix()}"
