"""Which models a repository holds, and their thresholds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoints


class ModelsInvalid(Exception):
    """models.json cannot be used; the text says why."""


def read_models(repository: Path) -> tuple[ModelIdentity, OperatingPoints]:
    """The embedder that templates come from, and the thresholds that were calibrated for it and its detector.

    Raises:
        ModelsInvalid, OperatingPointsInvalid: the text is a sentence for the operator.
    """
    path = repository / "models.json"
    model, detector = read_identity(path), _text(path, "detector", "sha256")
    return model, OperatingPoints.load(repository / "operating_points.json", model, detector=detector)


def read_identity(path: Path) -> ModelIdentity:
    """Which embedder ``models.json`` names.

    Raises:
        ModelsInvalid: it cannot be read, or names none.
    """
    return ModelIdentity(_text(path, "identity"))


def _text(path: Path, *keys: str) -> str:
    """What ``models.json`` says under these keys, one inside the other.

    Raises:
        ModelsInvalid: it cannot be read, or says nothing.
    """
    export = f"run `visavis export --model-repository {shlex.quote(str(path.parent))}`"
    try:
        found = json.loads(path.read_text("utf-8"))
        for key in keys:
            found = found[key]
    except FileNotFoundError as error:
        raise ModelsInvalid(f"{path} is missing: {export}") from error
    except OSError as error:
        raise ModelsInvalid(f"{path} cannot be read ({error.strerror}): {export}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelsInvalid(f"{path} is no record of models with {' '.join(keys)}: {export}") from error
    if not isinstance(found, str) or not found:
        raise ModelsInvalid(f"{path} names no {' '.join(keys)}: {export}")
    return found
