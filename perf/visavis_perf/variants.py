"""Choices that were made for speed, each with what else could have been chosen: ``perf/variants.toml``.

A variant is the unchanged product, served with other settings: of the models that Triton reads, of the environment, of
``visavis serve``. Words in braces stand for what is known only here and now: see ``Here``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from visavis_perf.pictures import PICTURE_SETS
from visavis_perf.places import PERF

LIST = PERF / "variants.toml"
#: What lies beside the list, for a variant that needs a file.
FILES = PERF / "variants"
#: Pictures in a closed loop without the proxy; comparisons over HTTP.
ENSEMBLE, FACEPP, JDCLOUD = LOADS = ("ensemble", "facepp", "jdcloud")
#: What the decoder may hand on to the aligner beside its own way; with nothing, the aligner decodes again.
HANDED_ON = ("picture", "nothing")


class VariantInvalid(Exception):
    """The list is not as described; the text names the variant."""


@dataclass(frozen=True, slots=True)
class Here:
    """What the words in braces stand for."""

    cores: int
    #: Pictures that a worker of the unchanged service lets in.
    in_flight: int
    #: ``host:port`` of the unchanged service's Triton.
    triton_grpc: str

    def filled(self, text: str) -> str:
        """The text with what its words stand for."""
        words = {"cores": self.cores, "in_flight": self.in_flight, "triton_grpc": self.triton_grpc, "files": FILES}
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", str(value))
        return text


@dataclass(frozen=True, slots=True)
class Edit:
    """What is written otherwise in a model's ``configs/cpu.pbtxt``; None leaves it."""

    #: Instances, whatever the machine; then Triton uses them in turns, without priorities.
    count: int | str | None = None
    instances_per_core: float | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    preferred_batch_size: tuple[int, ...] | None = None
    max_queue_delay_us: int | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative."""

    name: str
    #: What the product does, and what the variant does in its place, as the page says it.
    chosen: str
    instead: str
    load: str = ENSEMBLE
    pictures: str = "250"
    #: By model.
    edits: Mapping[str, Edit] = field(default_factory=dict)
    hand_on: str | None = None
    #: A folder of ``FILES`` that is laid over the model repository.
    overlay: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Of ``visavis serve``.
    arguments: tuple[str, ...] = ()
    #: Whether each graph's instances are bound to a core each, once they are up.
    pinned: bool = False

    @property
    def changes_models(self) -> bool:
        """Whether it needs a model repository of its own."""
        return bool(self.edits or self.hand_on or self.overlay)


_EDIT_KEYS = {one.name for one in fields(Edit)}
_KEYS = {one.name for one in fields(Variant)} | _EDIT_KEYS | {"models"}
_NEEDED = ("name", "chosen", "instead")


def read_variants(path: Path = LIST) -> dict[str, Variant]:
    """Every variant by its name, in the list's order.

    Raises:
        VariantInvalid: the list is not as described.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise VariantInvalid(f"{path} cannot be read: {error}") from error
    found: dict[str, Variant] = {}
    for row in table.get("variant", ()):
        variant = _variant(row)
        if variant.name in found:
            raise VariantInvalid(f"{variant.name}: there are two of that name")
        found[variant.name] = variant
    return found


def _variant(row: Mapping[str, Any]) -> Variant:
    name = row.get("name", "a variant without a name")
    if missing := [key for key in _NEEDED if not row.get(key)]:
        raise VariantInvalid(f"{name}: {', '.join(missing)} is missing")
    if unknown := sorted(row.keys() - _KEYS):
        raise VariantInvalid(f"{name}: {', '.join(unknown)} is unknown; known are {', '.join(sorted(_KEYS))}")
    if row.get("load", ENSEMBLE) not in LOADS:
        raise VariantInvalid(f"{name}: load names none of {', '.join(LOADS)}")
    if row.get("pictures", "250") not in PICTURE_SETS:
        raise VariantInvalid(f"{name}: pictures names none of {', '.join(PICTURE_SETS)}")
    if row.get("hand_on", HANDED_ON[0]) not in HANDED_ON:
        raise VariantInvalid(f"{name}: hand_on is {' or '.join(HANDED_ON)}")
    edit = {key: _frozen(row[key]) for key in _EDIT_KEYS & row.keys()}
    if bool(edit) != bool(row.get("models")):
        raise VariantInvalid(f"{name}: models and what is to be changed in them go together")
    own = {key: _frozen(value) for key, value in row.items() if key not in _EDIT_KEYS | {"models"}}
    return Variant(**own, edits=dict.fromkeys(row.get("models", ()), Edit(**edit)))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
