"""Which models a repository holds, and their thresholds."""

from __future__ import annotations

import json
from pathlib import Path

from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoints


class ModelsInvalid(Exception):
    """models.json cannot be used; the text says why."""


def read_models(repository: Path) -> tuple[ModelIdentity, OperatingPoints]:
    """The embedder that templates come from, and the thresholds that were calibrated for it.

    Raises:
        ModelsInvalid, OperatingPointsInvalid: the text is a sentence for the operator.
    """
    model = read_identity(repository / "models.json")
    return model, OperatingPoints.load(repository / "operating_points.json", model)


def read_identity(path: Path) -> ModelIdentity:
    """Which embedder ``models.json`` names.

    Raises:
        ModelsInvalid: it cannot be read, or names none.
    """
    try:
        identity = json.loads(path.read_text("utf-8"))["identity"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelsInvalid(f"{path} cannot be used ({error!r}): run `visavis export`") from error
    if not isinstance(identity, str) or not identity:
        raise ModelsInvalid(f"{path} names no model: run `visavis export`")
    return ModelIdentity(identity)
