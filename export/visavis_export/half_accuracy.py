"""Whether comparisons mean the same in half precision: from frame to score, before anything is replaced.

Half precision moves scores a little, some up and some down, and more of them cross a threshold from below, where they
are many, than from above. Of non-mated pairs a tenth as many lie above a threshold for every ``decade`` that it rises,
so scores that move by ``d`` multiply the false match rate at a threshold by the mean of ``10 ** (d / decade)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visavis_export import pictures
from visavis_export.matching import Floats, iou
from visavis_export.runners import OurDetector, OurEmbedder, Pixels
from visavis_export.verification import Check, require

#: Cuts a face out of a picture by its landmarks (5, 2): uint8 (112, 112, 3).
Align = Callable[[Pixels, Floats], Pixels]

#: Score over which the false match rate falls to a tenth, where no table says it; both networks that were measured take
#: more (0.048 and 0.060), so this asks for more than they need.
STEEP_DECADE = 0.04
#: Rates at and below which thresholds are used.
_LOW_RATE = 1e-3
#: By what factor a false match rate may be off, either way: a fifth of what calibration itself is allowed at 1e-4.
_FACTOR = 1.1
#: Of all decisions at the pack's operating points, the share that may come out otherwise.
_CHANGED = 0.01
#: Intersection over union from which two boxes are of one face.
_SAME_FACE = 0.5
#: The share of faces that one precision may find without the other: scores at the detector's threshold.
_ALONE = 0.01
#: Ten faces.
_PAIRS = 45


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A pack's operating points: false match rates, falling, and the threshold of each; none where it has no table."""

    rates: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @classmethod
    def of(cls, table: Mapping[float, float]) -> Thresholds:
        """By false match rate, in any order."""
        rates = sorted(table, reverse=True)
        return cls(tuple(rates), tuple(table[rate] for rate in rates))

    @property
    def decade(self) -> float:
        """The least rise of the threshold for a tenth of the false match rate."""
        points = [(np.log10(r), s) for r, s in zip(self.rates, self.scores, strict=True) if r <= _LOW_RATE]
        rises = [(high - low) / (one - other) for (one, low), (other, high) in itertools.pairwise(points)]
        return float(min(rises, default=STEEP_DECADE))


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Detector and embedder of one precision."""

    detector: OurDetector
    embedder: OurEmbedder
    align: Align

    def recognise(self, frame: Pixels) -> tuple[Floats, Floats]:
        """Boxes (n, 4) and templates (n, d) of unit length of the faces in uint8 (640, 640, 3), best first."""
        (faces,) = self.detector.detect(frame[None])
        if not len(faces):
            return faces.boxes, np.empty((0, 1), np.float32)
        embeddings = self.embedder.embed(np.stack([self.align(frame, points) for points in faces.landmarks]))
        return faces.boxes, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def check_accuracy(
    single: Recogniser, half: Recogniser, thresholds: Thresholds, photographs: Iterable[Pixels] = ()
) -> list[Check]:
    """How false match rates and decisions of ``half`` differ from those of ``single`` at the same thresholds.

    On the export's own pictures, and on ``photographs``, letterboxes uint8 (640, 640, 3), one at a time.

    Raises:
        VerificationFailed: too much.
    """
    seen = [_same_faces(single, half, frame) for frame in itertools.chain(pictures.frames(), photographs)]
    templates = [pair for same, _ in seen for pair in same]
    expected, found = (_scores([pair[way] for pair in templates]) for way in (0, 1))
    alone = sum(others for _, others in seen)
    checks = checks_of(expected, found, thresholds)
    share = alone / max(1, alone + len(templates))
    checks.append(Check("fp16 accuracy, faces found in one precision alone, share", share, _ALONE))
    require(checks, "In half precision comparisons do not mean what they mean in fp32, which --precision fp32 builds")
    return checks


def checks_of(expected: Floats, found: Floats, thresholds: Thresholds) -> list[Check]:
    """The table's rows, from the scores of the same pairs of faces in either precision."""
    if not len(expected):
        return [Check("fp16 accuracy, pairs of faces compared", 0, _PAIRS, at_least=True)]
    moved = float(np.mean(10 ** ((found - expected).astype(np.float64) / thresholds.decade)))
    checks = [
        Check("fp16 accuracy, pairs of faces compared", len(found), _PAIRS, at_least=True),
        Check("fp16 accuracy, false match rate at fp32's thresholds, factor", max(moved, 1 / moved), _FACTOR),
    ]
    if thresholds.scores:
        levels = np.asarray(thresholds.scores)[:, None]
        changed = float(np.mean((expected >= levels) != (found >= levels)))
        checks.append(Check("fp16 accuracy, decisions changed at the operating points, share", changed, _CHANGED))
    return checks


def _same_faces(single: Recogniser, half: Recogniser, frame: Pixels) -> tuple[list[tuple[Floats, Floats]], int]:
    """Both templates of every face that both find, and how many only one of them finds."""
    (boxes, templates), (others, their_templates) = single.recognise(frame), half.recognise(frame)
    overlaps = np.array([[iou(box, other) for other in others] for box in boxes]).reshape(len(boxes), len(others))
    # Two boxes of a face overlap far more than two faces do.
    same = [(int(one), int(np.argmax(overlaps[one]))) for one in np.flatnonzero((overlaps >= _SAME_FACE).any(axis=1))]
    return [(templates[one], their_templates[other]) for one, other in same], len(boxes) + len(others) - 2 * len(same)


def _scores(templates: Sequence[Floats]) -> Floats:
    """Of all pairs, in a fixed order."""
    if not templates:
        return np.empty(0, np.float32)
    vectors = np.stack(templates)
    scores: Floats = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return scores
