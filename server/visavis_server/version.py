"""``visavis --version``: what is installed, and which models it would serve."""

from __future__ import annotations

from pathlib import Path

from visavis_proxy.build_info import installed_version
from visavis_proxy.models import ModelsInvalid, read_identity


def version(repository: Path) -> str:
    """One line: the distribution's version and the models' identity, which every template carries."""
    try:
        models = f"models {read_identity(repository / 'models.json')}"
    except ModelsInvalid:
        models = f"no models in {repository}"
    return f"visavis {installed_version()}, {models}"
