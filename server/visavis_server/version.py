"""``visavis --version``: what is installed, and which models it would serve."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from visavis_proxy.models import ModelsInvalid, read_identity


def version(repository: Path) -> str:
    """One line: the distribution's version and the models' identity, which every template carries."""
    try:
        models = f"models {read_identity(repository / 'models.json')}"
    except ModelsInvalid:
        models = f"no models in {repository}"
    return f"visavis {_installed()}, {models}"


def _installed() -> str:
    """The containers copy the source and install no distribution."""
    try:
        return importlib.metadata.version("visavis")
    except importlib.metadata.PackageNotFoundError:
        return "from the source"
