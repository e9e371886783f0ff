"""operating_points.json: which graphs thresholds belong to, and what an export does with them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass

from visavis_export.errors import PackInvalid
from visavis_export.pack import Pack
from visavis_export.record import identity_of, read_record
from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, Repository
from visavis_export.weights import digest


@dataclass(frozen=True, slots=True)
class PointsToInstall:
    """What becomes of operating_points.json."""

    #: The pack's own table, where it is to be installed.
    shipped: bytes | None
    #: Whether the repository then has thresholds for its graphs.
    present: bool


@dataclass(frozen=True, slots=True)
class CalibratedFor:
    """The graphs that thresholds belong to: what the detector hands on decides about scores as the embedder does."""

    identity: str
    #: sha256 of the detector's graph.
    detector: str


def points_to_install(repository: Repository, pack: Pack, graphs: Mapping[str, bytes]) -> PointsToInstall:
    """The pack's thresholds, if they were measured with these graphs, and unless its user has calibrated them anew.

    Raises:
        PackInvalid: the pack's table is malformed.
    """
    loaded = _loaded(pack, graphs)
    present = repository.read(POINTS)
    shipped_before = read_record(repository).get("shipped_operating_points")
    if present is not None and digest(present) != shipped_before and _calibrated_for(present) == loaded:
        return PointsToInstall(None, True)
    shipped = _shipped(pack, loaded)
    return PointsToInstall(shipped, shipped is not None)


def shipped_thresholds(pack: Pack, graphs: Mapping[str, bytes]) -> dict[float, float]:
    """By false match rate, from the pack's own table; nothing where it was measured with other graphs, or is none.

    Raises:
        PackInvalid: the table is malformed.
    """
    table = _shipped(pack, _loaded(pack, graphs))
    return {} if table is None else _rising(pack, table)


def _loaded(pack: Pack, graphs: Mapping[str, bytes]) -> CalibratedFor:
    return CalibratedFor(identity_of(pack, graphs[EMBEDDER]), digest(graphs[DETECTOR]))


def _shipped(pack: Pack, loaded: CalibratedFor) -> bytes | None:
    """The pack's own table, if it has one, and that was measured with these graphs."""
    if not pack.operating_points.is_file():
        return None
    shipped = pack.operating_points.read_bytes()
    calibrated_for = _calibrated_for(shipped)
    if calibrated_for is None:
        raise _malformed(pack)
    _rising(pack, shipped)
    return shipped if calibrated_for == loaded else None


def _rising(pack: Pack, table: bytes) -> dict[float, float]:
    """The table's thresholds by false match rate.

    Raises:
        PackInvalid: there are none, or they do not rise as the rate falls.
    """
    try:
        found = {float(p["false_match_rate"]): float(p["threshold"]) for p in json.loads(table)["operating_points"]}
    except (ValueError, KeyError, TypeError) as error:
        raise _malformed(pack) from error
    rising = [-1.0, *(found[rate] for rate in sorted(found, reverse=True)), 1.0]
    if not found or not all(0 < rate < 1 for rate in found) or not all(a < b for a, b in itertools.pairwise(rising)):
        raise _malformed(pack)
    return found


def _malformed(pack: Pack) -> PackInvalid:
    return PackInvalid(
        f"{pack.operating_points.name} is no table of rising thresholds with the digests of its graphs: "
        "`visavis calibrate` makes one."
    )


def _calibrated_for(points: bytes) -> CalibratedFor | None:
    """The graphs that a table of operating points names; None when it is none."""
    try:
        models = json.loads(points)["models"]
        return CalibratedFor(str(models["identity"]), str(models["detector"]["sha256"]))
    except (ValueError, KeyError, TypeError):
        return None
