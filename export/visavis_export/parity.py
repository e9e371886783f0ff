"""The parity table: the graphs in place against OpenCV, on photographs.

Both detectors see the same letterbox, made by the repository's own decoder. Both embedders start from the reference's
landmarks: OpenCV aligns and embeds in its way, we in ours.

One difference is meant. Where a face is more than twice as large as its aligned form, OpenCV's aligner skips pixels and
ours averages them. For such a face OpenCV is therefore given a picture averaged down so far that it skips none; what it
makes of the whole picture is printed too, as information without a limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from visavis_export.errors import ExportError, ParityOutsideLimits
from visavis_export.exporting import WeightsSource
from visavis_export.folding import read_network
from visavis_export.matching import Agreement, Floats, compare, cosine
from visavis_export.pack import Pack
from visavis_export.pictures import photograph_files
from visavis_export.repository import DETECTOR, EMBEDDER, Repository
from visavis_export.runners import OurDetector, OurEmbedder, Pixels, ReferenceDetector, ReferenceEmbedder
from visavis_export.served import served_module
from visavis_export.verification import Check

_MAX_PIXELS = 200_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A photograph as the pipeline hands it on."""

    #: uint8 (h, w, 3) RGB, upright, as the decoder leaves it for the aligner.
    picture: Pixels
    #: uint8 (640, 640, 3).
    frame: Pixels
    #: Frame pixels per picture pixel.
    scale: float


@dataclass
class Tally:
    """What was seen in one folder."""

    pictures: int = 0
    unreadable: int = 0
    agreements: list[Agreement] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    #: Of large faces, to OpenCV's template with pixels skipped.
    aliased: list[float] = field(default_factory=list)

    def checks(self) -> list[Check]:
        """The table's rows."""
        total = Agreement.over(self.agreements)
        cosines = self.cosines or [float("nan")]
        return [
            Check("faces missed", total.missed, 0),
            Check("faces added", total.extra, 0),
            Check("worst intersection over union", total.worst_iou, 0.99, at_least=True),
            Check("worst landmark, pixels of the frame", total.worst_landmark, 0.5),
            Check("median cosine of templates", float(np.median(cosines)), 0.999, at_least=True),
            Check("worst cosine of templates", min(cosines), 0.99, at_least=True),
        ]


class Pipeline:
    """The repository's own plain modules and graphs."""

    def __init__(self, repository: Repository) -> None:
        graphs = {name: repository.read(name) for name in (DETECTOR, EMBEDDER)}
        missing = [name for name, data in graphs.items() if data is None]
        if missing:
            raise ExportError(f"{repository.root} has no {missing[0]}; run the export first.")
        self.detector = OurDetector(graphs[DETECTOR] or b"")
        self._embedder = OurEmbedder(graphs[EMBEDDER] or b"")
        self._decoding = served_module(repository, "image_decoder", "decoding")
        self._framing = served_module(repository, "image_decoder", "framing")
        self._alignment = served_module(repository, "face_aligner", "alignment")

    def open(self, path: Path) -> Sample | None:
        """Decode a file and fit it into the detector's frame; None for one that cannot be read."""
        data = path.read_bytes()
        try:
            header = self._decoding.read_header(data, _MAX_PIXELS)
            picture = self._decoding.decode(data, header, self._framing.FRAME)
        except (self._decoding.PictureUnreadable, self._decoding.PictureTooLarge):
            return None
        frame, scale = self._framing.letterbox(picture)
        return Sample(picture, frame[0], scale)

    def enlargement(self, landmarks: Floats) -> float:
        """Pixels of the aligned face per picture pixel."""
        return float(self._alignment.scale_of(self._alignment.similarity(landmarks)))

    def embed(self, picture: Pixels, landmarks: Floats) -> Floats:
        """Align as the pipeline does, and embed."""
        face = self._alignment.align(picture, self._alignment.similarity(landmarks))
        (embedding,) = self._embedder.embed(face[None])
        return np.asarray(embedding, np.float32)


def run(repository: Repository, pack: Pack, source: WeightsSource, directories: list[Path], limit: int) -> None:
    """Measure every folder and print its table.

    Raises:
        ExportError: graphs, weights or photographs are missing.
        ParityOutsideLimits: a figure lies outside its limit.
    """
    console = Console(highlight=False)
    ours = Pipeline(repository)
    if (pack.detector.family, pack.embedder.family) != ("yunet", "sface"):
        raise ExportError(f"OpenCV does not run the networks of the pack {pack.name}; its export verifies them.")
    _, detector_weights = source.fetch_part(pack, "detector")
    _, embedder_weights = source.fetch_part(pack, "embedder")
    detector = ReferenceDetector(read_network(detector_weights.data).serialised(), pack.detector)
    embedder = ReferenceEmbedder(read_network(embedder_weights.data).serialised())
    outside = 0
    for directory in directories:
        tally = Tally()
        for path in track(photograph_files(directory, limit), f"{directory}", console=console, transient=True):
            _measure(path, ours, detector, embedder, tally)
        outside += _print(console, directory, tally)
    if outside:
        raise ParityOutsideLimits(f"{outside} figures lie outside their limits.")


def _measure(
    path: Path, ours: Pipeline, detector: ReferenceDetector, embedder: ReferenceEmbedder, tally: Tally
) -> None:
    sample = ours.open(path)
    if sample is None:
        tally.unreadable += 1
        return
    expected = detector.detect(sample.frame)
    (found,) = ours.detector.detect(sample.frame[None])
    tally.pictures += 1
    tally.agreements.append(compare(expected, found))
    for landmarks in expected.landmarks:
        points = landmarks / sample.scale
        template = ours.embed(sample.picture, points)
        shrink = 2 * ours.enlargement(points)
        if shrink < 1:
            tally.aliased.append(cosine(embedder.embed(embedder.align(sample.picture, points)), template))
        picture, points = _reduced(sample.picture, points, shrink)
        tally.cosines.append(cosine(embedder.embed(embedder.align(picture, points)), template))


def _reduced(picture: Pixels, points: Floats, shrink: float) -> tuple[Pixels, Floats]:
    """A picture averaged to ``shrink`` times its size, and the points in it; a factor above 1 changes nothing."""
    if shrink >= 1:
        return picture, points
    small = np.asarray(cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
    factors = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]])
    return small, ((points + 0.5) * factors - 0.5).astype(np.float32)


def _print(console: Console, directory: Path, tally: Tally) -> int:
    """Print a folder's table; how many of its figures lie outside."""
    faces = sum(agreement.faces for agreement in tally.agreements)
    title = f"{directory}: {tally.pictures} pictures ({tally.unreadable} unreadable), {faces} faces"
    table = Table("", "measured", "limit", "", title=title, title_justify="left", box=None)
    checks = tally.checks()
    for check in checks:
        sign = "≥" if check.at_least else "≤"
        table.add_row(check.name, f"{check.measured:.6g}", f"{sign} {check.limit:g}", "" if check.holds else "OUTSIDE")
    if tally.aliased:
        name = f"worst of {len(tally.aliased)} large faces, OpenCV skipping pixels"
        table.add_row(name, f"{min(tally.aliased):.6g}", "", "information")
    console.print(table)
    return sum(not check.holds for check in checks)
