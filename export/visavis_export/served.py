"""The plain modules that the served Python models run, for measurements that must see what they see."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from visavis_export.configurations import PROJECTS
from visavis_export.errors import ExportError
from visavis_export.repository import Repository


def served_module(repository: Repository, model: str, name: str) -> Any:
    """The repository's own; the project's, where the repository is still to be filled.

    As part of a package that is its folder alone: by its bare name another could be meant, which this process has
    loaded before.

    Raises:
        ExportError: neither has it, or it cannot be run.
    """
    place = f"{model}/1/{name}.py"
    path = next((root / place for root in (repository.root, PROJECTS) if (root / place).is_file()), None)
    if path is None:
        raise ExportError(f"{repository.root} has no {place}: copy the project's model_repository there first.")
    package = ModuleType(f"_visavis_served_{bytes(path.parent.resolve()).hex()}")
    package.__path__ = [str(path.parent)]
    sys.modules.setdefault(package.__name__, package)
    try:
        return importlib.import_module(f"{package.__name__}.{name}")
    except ImportError as error:
        raise ExportError(f"{path} cannot be loaded: {error}.") from error
