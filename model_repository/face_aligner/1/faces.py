"""From the detector's rows to aligned faces, in pixels of the upright original. Knows no Triton."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .alignment import SIZE, Pixels, Transform, align, scale_of, similarity
from .posture import sharpness

Floats = npt.NDArray[np.float32]

#: Sharpness of a face is measured at its own size, but not under this one (pixels of its aligned side).
SMALLEST_MEASURED = 24


@dataclass(frozen=True)
class Geometry:
    """How pixels of the original, of the picture at hand and of the detector's frame relate."""

    width: float
    height: float
    picture_width: float
    picture_height: float
    left: float
    top: float
    scale_x: float
    scale_y: float

    # Plain numbers: between two graphs nothing of numpy is in the cache, and most pictures have one face.

    def boxes(self, rows: Floats) -> Floats:
        """Boxes (n, 4) of the frame as x, y, width, height of the original."""
        across, down, left, top = self.scale_x, self.scale_y, self.left, self.top
        found = [(x / across + left, y / down + top, w / across, h / down) for x, y, w, h in rows.tolist()]
        return np.array(found, np.float32).reshape(-1, 4)

    def points(self, rows: Floats) -> Floats:
        """Points (n, 5, 2) of the frame in the original; a point is the middle of a pixel."""
        across, down = self.scale_x, self.scale_y
        left, top = self.left - 0.5, self.top - 0.5
        found = [[((x + 0.5) / across + left, (y + 0.5) / down + top) for x, y in face] for face in rows.tolist()]
        return np.array(found, np.float32).reshape(-1, 5, 2)

    def transform(self, landmarks: Floats, picture: Pixels) -> Transform:
        """The similarity from a picture of any size of the same original to the aligned face."""
        across, down = picture.shape[1] / self.width, picture.shape[0] / self.height
        return similarity([((x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5) for x, y in landmarks.tolist()])

    @property
    def reduced(self) -> bool:
        """Whether the original has more pixels than the picture at hand."""
        return self.picture_width < self.width


def largest_first(boxes: Floats) -> list[int]:
    """Order of boxes (n, 4) by area."""
    areas = [width * height for _, _, width, height in boxes.tolist()]
    return sorted(range(len(areas)), key=areas.__getitem__, reverse=True)


def cut(
    picture: Pixels, geometry: Geometry, landmarks: Floats, wanted: int, whole: Callable[[float], Pixels]
) -> tuple[Pixels, Floats]:
    """Align the first ``wanted`` faces and measure the sharpness of all: uint8 (wanted, 112, 112, 3), float32 (n,).

    Where one of the wanted faces would have to be enlarged although the original has more pixels, ``whole(factor)``
    is asked for a picture at least so many times as large.
    """
    transforms = [geometry.transform(points, picture) for points in landmarks]
    enlarged = max((scale_of(t) for t in transforms[:wanted]), default=0.0)
    if geometry.reduced and enlarged > 1.0:
        picture = whole(enlarged)
        transforms = [geometry.transform(points, picture) for points in landmarks]
    faces = np.empty((wanted, SIZE, SIZE, 3), np.uint8)
    sharp = np.empty(len(transforms), np.float32)
    for row, transform in enumerate(transforms):
        size = min(max(int(SIZE / max(scale_of(transform), 1e-6)), SMALLEST_MEASURED), SIZE)
        face = None
        if row < wanted:
            face = faces[row] = align(picture, transform)
        if face is None or size != SIZE:
            face = align(picture, transform, size)
        sharp[row] = sharpness(face)
    return faces, sharp
