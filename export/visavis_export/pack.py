"""A pack: detector, embedder, their settings and licence, in one TOML file beside this module."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from visavis_export.errors import PackInvalid
from visavis_export.tables import check_keys, read_toml, sub_table

PACKS = Path(__file__).with_name("packs")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: A pack's name begins the identity of every template made with it.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,40}")
#: What a part of a pack says of a file of the user's, instead of ``weights``.
_OWN_KEYS = ("file", "names", "sha256", "url")
_Part = TypeVar("_Part")


class Precision(StrEnum):
    """Of a graph's weights and the computation with them; its inputs and outputs are the same in both."""

    FP32 = "fp32"
    FP16 = "fp16"


@dataclass(frozen=True, slots=True)
class OwnWeights:
    """An ONNX file of the user's: at ``path``, in a folder under a name that fits a pattern, or at ``url``."""

    names: tuple[str, ...] = ()
    path: Path | None = None
    #: Hexadecimal; None: any file will do.
    sha256: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise PackInvalid(f"sha256 is 64 hexadecimal digits in small letters, not {self.sha256!r}.")
        if self.url is not None and (self.sha256 is None or not self.url.startswith(("https://", "http://"))):
            raise PackInvalid("A url begins with https:// or http://, and a sha256 stands beside it.")


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """Which network finds faces, and what counts as one."""

    family: str
    #: An entry of models.lock.toml, or a file of the user's.
    weights: str | OwnWeights
    #: Candidates must score more than this, 0…1, while they are not taller than ``tall_from`` of the frame. From
    #: there to the whole frame the demand falls to ``tall_score_threshold``: the taller a face, the less it scores.
    score_threshold: float
    tall_score_threshold: float
    tall_from: float
    #: Intersection over union above which the lower-scoring of two boxes is dropped.
    overlap_threshold: float
    #: Pixels enter as ``(pixel - mean) / deviation``, RGB.
    mean: float = 0.0
    deviation: float = 1.0
    #: Height, as a share of the frame, from which faces are looked for at half the size too.
    close_up_from: float = 1.0
    #: Whether a picture in which no face was found is searched again, enlarged and in tiles.
    second_look: bool = True

    def __post_init__(self) -> None:
        names = ("score_threshold", "tall_score_threshold", "tall_from", "overlap_threshold")
        if not all(0 < getattr(self, name) < 1 for name in names):
            raise PackInvalid(f"A detector's {', '.join(names)} lie between 0 and 1.")
        if not 0 <= self.close_up_from <= 1:
            raise PackInvalid("A detector's close_up_from lies between 0 and 1.")
        if not isinstance(self.second_look, bool):
            raise PackInvalid("A detector's second_look is true or false.")
        _check_pixels(self.mean, self.deviation)
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
    weights: str | OwnWeights
    #: Length of the embedding; None: whatever the network gives.
    dimensions: int | None = None
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        _check_pixels(self.mean, self.deviation)


def _check_pixels(mean: float, deviation: float) -> None:
    if not (0 <= mean <= 255 and 0 < deviation <= 255):
        raise PackInvalid("A mean lies between 0 and 255, a deviation above 0 and up to 255.")


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
    accuracy: Accuracy = field(default_factory=Accuracy)
    #: Whether its user has agreed to the licence in the pack's own file.
    licence_accepted: bool = False
    #: sha256 of the TOML file.
    digest: str = ""

    def recipe(self, part: str) -> DetectorRecipe | EmbedderRecipe:
        """Of its "detector" or its "embedder"."""
        return self.detector if part == "detector" else self.embedder

    @property
    def asks_for_acceptance(self) -> bool:
        """Weights that we do not pin come under terms that only their user can judge."""
        return not self.licence_accepted and any(
            isinstance(recipe.weights, OwnWeights) for recipe in (self.detector, self.embedder)
        )


def pack_names(folder: Path = PACKS) -> list[str]:
    """The packs that come along."""
    return sorted(found.stem for found in folder.glob("*.toml"))


def load_pack(name: str, folder: Path = PACKS) -> Pack:
    """Read ``<folder>/<name>.toml``, or the user's own file where the name ends in .toml.

    Raises:
        PackInvalid: no such pack, or a key is missing, unknown or of the wrong type.
    """
    known = pack_names(folder)
    own = name.endswith(".toml")
    if not own and name not in known:
        raise PackInvalid(f"There is no pack {name!r}; known are: {', '.join(known)}.")
    path = Path(name) if own else folder / f"{name}.toml"
    try:
        return _read(path, {known_name for known_name in known if own})
    except OSError as error:
        raise PackInvalid(f"The pack {path} cannot be read: {error.strerror or error}.") from error
    except KeyError as error:
        raise PackInvalid(f"The pack {path} does not say its {error.args[0]}.") from error
    except (ValueError, PackInvalid) as error:
        said = str(error).rstrip(".")
        raise PackInvalid(f"The pack {path} cannot be used: {said}{'' if said.endswith('?') else '.'}") from error


def with_file(pack: Pack, part: str, choice: str) -> Pack:
    """The pack with the file of ``choice``, "family=FILE", as its detector or embedder.

    Raises:
        PackInvalid: this part of the pack is not a file of that family that users bring along.
    """
    family, _, file = choice.partition("=")
    recipe = pack.recipe(part)
    if not isinstance(recipe.weights, OwnWeights) or family != recipe.family or not file:
        raise PackInvalid(
            f"--{part} {choice} does not fit the pack {pack.name}, whose {part} "
            + (f"is given as {recipe.family}=FILE." if isinstance(recipe.weights, OwnWeights) else "is its own.")
        )
    chosen = replace(recipe, weights=replace(recipe.weights, path=Path(file)))
    if isinstance(chosen, DetectorRecipe):
        return replace(pack, detector=chosen)
    return replace(pack, embedder=chosen)


def _read(path: Path, taken: set[str]) -> Pack:
    data = path.read_bytes()
    table = read_toml(data)
    name, title, licence = (table[key] for key in ("name", "title", "licence"))
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in taken:
        raise ValueError(f"{name!r} is no name for it: small letters, digits, '-', and not another pack's")
    accepted = table.get("licence_accepted", False)
    if not all(isinstance(text, str) and text for text in (title, licence)) or not isinstance(accepted, bool):
        raise ValueError("title and licence are texts, licence_accepted is true or false")
    return Pack(
        name=name,
        title=title,
        licence=licence,
        detector=_part(table, "detector", DetectorRecipe, path.parent),
        embedder=_part(table, "embedder", EmbedderRecipe, path.parent),
        operating_points=path.with_name(f"{path.stem}.operating_points.json"),
        accuracy=_part(table, "accuracy", Accuracy, path.parent) if "accuracy" in table else Accuracy(),
        licence_accepted=accepted,
        digest=hashlib.sha256(data).hexdigest(),
    )


def _part(table: dict[str, Any], name: str, kind: type[_Part], folder: Path) -> _Part:
    """What the file says below ``[name]``; an error begins with that."""
    part = sub_table(table, name)
    try:
        settings = _with_weights(part, folder)
        check_keys(settings, kind, others=_OWN_KEYS)
        return kind(**settings)
    except (ValueError, PackInvalid) as error:
        raise PackInvalid(f"[{name}]: {error}") from error


def _with_weights(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A part's table with its keys about the user's own file made one; a relative path is the TOML file's."""
    own = {key: table[key] for key in _OWN_KEYS if key in table}
    rest = {key: value for key, value in table.items() if key not in own}
    if not own:
        return rest
    if "weights" in rest:
        raise ValueError("weights are pinned, or a file of one's own, not both")
    names = own.get("names", [])
    texts = [own[key] for key in ("file", "sha256", "url") if key in own]
    if not isinstance(names, list) or not all(isinstance(text, str) for text in (*texts, *names)):
        raise ValueError("file, sha256 and url are texts, names are a list of them")
    path = folder / own["file"] if "file" in own else None
    return {**rest, "weights": OwnWeights(tuple(names), path, own.get("sha256"), own.get("url"))}
