"""A pack: detector, embedder, their settings and licence, in one TOML file beside this module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visavis_export.errors import PackInvalid

PACKS = Path(__file__).with_name("packs")


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """Which network finds faces, and what counts as one."""

    family: str
    #: An entry of models.lock.toml.
    weights: str
    #: Candidates must score more than this, 0…1, while they are not taller than ``tall_from`` of the frame. From
    #: there to the whole frame the demand falls to ``tall_score_threshold``: the taller a face, the less it scores.
    score_threshold: float
    tall_score_threshold: float
    tall_from: float
    #: Intersection over union above which the lower-scoring of two boxes is dropped.
    overlap_threshold: float

    def __post_init__(self) -> None:
        fields = ("score_threshold", "tall_score_threshold", "tall_from", "overlap_threshold")
        if not all(0 < getattr(self, field) < 1 for field in fields):
            raise PackInvalid(f"A detector's {', '.join(fields)} lie between 0 and 1.")
        if self.tall_score_threshold > self.score_threshold:
            raise PackInvalid("A detector's tall_score_threshold is at most its score_threshold.")

    @property
    def score_fall(self) -> float:
        """How much the demand falls from ``tall_from`` on, per height of the frame."""
        return (self.score_threshold - self.tall_score_threshold) / (1 - self.tall_from)


@dataclass(frozen=True, slots=True)
class EmbedderRecipe:
    """Which network describes a face."""

    family: str
    weights: str
    #: Length of the embedding; None: whatever the network gives.
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What is known of a pack's accuracy, one line each with its conditions."""

    published: str = "unknown"
    own: str = "not measured"


@dataclass(frozen=True, slots=True)
class Pack:
    """What `--pack NAME` stands for."""

    name: str
    title: str
    #: An SPDX expression over everything the pack's weights are.
    licence: str
    detector: DetectorRecipe
    embedder: EmbedderRecipe
    #: Thresholds that were measured with this pack; the file need not exist.
    operating_points: Path
    accuracy: Accuracy = Accuracy()


def pack_names(folder: Path = PACKS) -> list[str]:
    """The packs that come along."""
    return sorted(found.stem for found in folder.glob("*.toml"))


def load_pack(name: str, folder: Path = PACKS) -> Pack:
    """Read ``<folder>/<name>.toml``.

    Raises:
        PackInvalid: no such pack, or a key is missing, unknown or of the wrong type.
    """
    path = folder / f"{name}.toml"
    known = pack_names(folder)
    if name not in known:
        raise PackInvalid(f"There is no pack {name!r}; known are: {', '.join(known)}.")
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return Pack(
            name=name,
            title=table["title"],
            licence=table["licence"],
            detector=DetectorRecipe(**table["detector"]),
            embedder=EmbedderRecipe(**table["embedder"]),
            operating_points=folder / f"{name}.operating_points.json",
            accuracy=Accuracy(**table.get("accuracy", {})),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackInvalid(f"The pack {path.name} cannot be used: {error}.") from error
