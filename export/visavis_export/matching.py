"""Whether two detectors say the same of one picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
#: Two boxes that overlap less than this are not the same face.
_SAME_FACE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Faces:
    """A detector's rows for one frame, best first, in the frame's pixels."""

    #: float32 (n, 4): x, y, width, height.
    boxes: Floats
    #: float32 (n, 5, 2).
    landmarks: Floats
    #: float32 (n,).
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far ours follows the reference, over one frame or many."""

    faces: int
    #: Faces of the reference that ours lacks, and the other way round.
    missed: int = 0
    extra: int = 0
    #: The worst matched pair's overlap, landmark distance in pixels, and difference of score.
    worst_iou: float = 1.0
    worst_landmark: float = 0.0
    worst_score: float = 0.0

    @classmethod
    def over(cls, parts: Iterable[Agreement]) -> Agreement:
        """Counts added, the worst of the worst kept."""
        rows = list(parts)
        return cls(
            sum(a.faces for a in rows),
            sum(a.missed for a in rows),
            sum(a.extra for a in rows),
            min((a.worst_iou for a in rows), default=1.0),
            max((a.worst_landmark for a in rows), default=0.0),
            max((a.worst_score for a in rows), default=0.0),
        )


def compare(reference: Faces, ours: Faces) -> Agreement:
    """Pair each face of the reference, best first, with the free one of ours that overlaps it most."""
    free = list(range(len(ours)))
    pairs: list[tuple[int, int, float]] = []
    for row, box in enumerate(reference.boxes):
        overlaps = [iou(box, ours.boxes[candidate]) for candidate in free]
        if overlaps and max(overlaps) >= _SAME_FACE_IOU:
            place = int(np.argmax(overlaps))
            pairs.append((row, free.pop(place), overlaps[place]))
    distances = [np.linalg.norm(reference.landmarks[a] - ours.landmarks[b], axis=1).max() for a, b, _ in pairs]
    return Agreement(
        len(reference),
        len(reference) - len(pairs),
        len(free),
        min((overlap for _, _, overlap in pairs), default=1.0),
        float(max(distances, default=0.0)),
        float(max((abs(reference.scores[a] - ours.scores[b]) for a, b, _ in pairs), default=0.0)),
    )


def iou(one: Floats, other: Floats) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    union = float(np.prod(one[2:]) + np.prod(other[2:])) - shared
    return shared / union if union > 0 else 0.0


def cosine(one: Floats, other: Floats) -> float:
    """Cosine of the angle between two embeddings."""
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
