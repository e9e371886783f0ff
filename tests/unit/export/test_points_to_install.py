"""Thresholds never outlive their graphs: whose table an export installs, keeps, or leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from visavis_export.errors import PackInvalid
from visavis_export.pack import Pack, load_pack
from visavis_export.points import PointsToInstall, points_to_install, shipped_thresholds
from visavis_export.record import identity_of
from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, Repository
from visavis_export.weights import digest

GRAPHS = {DETECTOR: b"a detector", EMBEDDER: b"an embedder"}
OTHER_DETECTOR = {**GRAPHS, DETECTOR: b"another detector"}
OTHER_EMBEDDER = {**GRAPHS, EMBEDDER: b"another embedder"}
OTHERS = pytest.mark.parametrize("others", [OTHER_DETECTOR, OTHER_EMBEDDER])


def table(pack: Pack, graphs: dict[str, bytes], *thresholds: float) -> bytes:
    """What `visavis calibrate` says of the graphs."""
    rates = zip((1e-3, 1e-4), thresholds or (0.36, 0.42), strict=True)
    points = [{"false_match_rate": rate, "threshold": threshold} for rate, threshold in rates]
    models = {"identity": identity_of(pack, graphs[EMBEDDER]), "detector": {"sha256": digest(graphs[DETECTOR])}}
    return json.dumps({"operating_points": points, "models": models}).encode()


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """One that ships a table for :data:`GRAPHS`."""
    pack = replace(load_pack("opencv"), operating_points=tmp_path / "shipped.json")
    pack.operating_points.write_bytes(table(pack, GRAPHS))
    return pack


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "models").mkdir()
    return Repository(tmp_path / "models")


def test_the_packs_own_table_is_installed_beside_its_graphs(pack: Pack, repository: Repository) -> None:
    found = points_to_install(repository, pack, GRAPHS)
    assert found == PointsToInstall(pack.operating_points.read_bytes(), True)


@OTHERS
def test_a_pack_with_another_detector_or_embedder_has_no_thresholds(
    pack: Pack, repository: Repository, others: dict[str, bytes]
) -> None:
    """As where a user swaps one of them alone: the export then says that thresholds are to be made."""
    assert points_to_install(repository, pack, others) == PointsToInstall(None, False)


def test_a_table_of_the_users_own_stays_beside_the_graphs_that_it_was_made_with(
    pack: Pack, repository: Repository
) -> None:
    (repository.root / POINTS).write_bytes(table(pack, OTHER_DETECTOR))
    assert points_to_install(repository, pack, OTHER_DETECTOR) == PointsToInstall(None, True)


@OTHERS
def test_a_table_of_the_users_own_does_not_outlive_its_graphs(
    pack: Pack, repository: Repository, others: dict[str, bytes]
) -> None:
    """The pack's own comes in its place, where there is one for the new graphs."""
    (repository.root / POINTS).write_bytes(table(pack, others))
    assert points_to_install(repository, pack, GRAPHS) == PointsToInstall(table(pack, GRAPHS), True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": {"identity": "opencv-0123456789ab"}}'])
def test_a_pack_whose_table_names_no_graphs_is_refused(pack: Pack, repository: Repository, text: str) -> None:
    pack.operating_points.write_text(text)
    with pytest.raises(PackInvalid, match=r"^shipped\.json is no table of rising thresholds"):
        points_to_install(repository, pack, GRAPHS)


def test_thresholds_are_read_for_the_graphs_they_were_measured_with(pack: Pack) -> None:
    """A pack without a table, or with another graph, has none."""
    assert shipped_thresholds(pack, GRAPHS) == {1e-3: 0.36, 1e-4: 0.42}
    assert shipped_thresholds(pack, OTHER_DETECTOR) == {}
    pack.operating_points.unlink()
    assert shipped_thresholds(pack, GRAPHS) == {}


@pytest.mark.parametrize("thresholds", [(0.42, 0.36), (0.36, 0.36), (0.36, 1.0), (-1.0, 0.36), (0.36, float("nan"))])
def test_thresholds_that_do_not_rise_are_refused(
    pack: Pack, repository: Repository, thresholds: tuple[float, float]
) -> None:
    """Before anything is computed from them, and before they are installed."""
    pack.operating_points.write_bytes(table(pack, GRAPHS, *thresholds))
    with pytest.raises(PackInvalid, match=r"^shipped\.json is no table of rising thresholds"):
        shipped_thresholds(pack, GRAPHS)
    with pytest.raises(PackInvalid, match=r"^shipped\.json is no table of rising thresholds"):
        points_to_install(repository, pack, GRAPHS)
