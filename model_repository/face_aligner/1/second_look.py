"""A closer look at a picture in which the detector saw no face: overlapping tiles of it, enlarged. Knows no Triton.

The detector's frame shows a picture 640 pixels wide or high, and a face of less than about 32 of them is often missed.
Enlarged 1.8 times such faces are found. Taller ones the first look has seen whole, and better than a tile shows them:
only small ones count here, which is also what keeps the look from taking an enlarged dog for a face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

#: The detector's frame, pixels.
FRAME = 640
#: Two tiles on an axis share this many pixels, so the enlarged picture's longer side is ``SIDE``.
OVERLAP = 128
SIDE = 2 * FRAME - OVERLAP
#: The tallest face that counts, pixels of the enlarged picture. Wherever it lies, one tile holds it whole with a margin
#: of ``MARGIN`` to the pixels that the tile does not show.
TALLEST = 96
MARGIN = (OVERLAP - TALLEST) // 2
#: Faces of two tiles are one when they overlap by more than this intersection over union, as in the detector itself.
SAME_FACE = 0.3
#: Rows of a detector's answer, and of this one.
MAX_FACES = 32


@dataclass(frozen=True)
class Rows:
    """Faces, best first: float32 boxes (n, 4) as x, y, width, height, landmarks (n, 5, 2), scores (n,); in pixels."""

    boxes: Floats
    landmarks: Floats
    scores: Floats


@dataclass(frozen=True)
class Tiles:
    """An enlarged picture in parts: uint8 frames (n, 640, 640, 3), black where it ends, and each one's left and top."""

    frames: Pixels
    corners: tuple[tuple[int, int], ...]
    width: int
    height: int
    #: Pixels of the enlarged picture per pixel of what it was made from.
    scale: float


@dataclass(frozen=True)
class Sight:
    """What was found, in pixels of the enlarged part, and how that relates to the picture it was cut from."""

    rows: Rows
    picture: Pixels
    #: Where the searched part begins, pixels of the upright original.
    left: float
    top: float
    scale: float


def look_again(
    picture: Pixels,
    part_of: Callable[[Pixels], tuple[Pixels, float, float]],
    larger: Callable[[float], Pixels],
    detect: Callable[[Pixels], list[Rows]],
) -> Sight | None:
    """Search the tiles of ``picture``; None where there is no face in them either.

    ``part_of`` cuts out what is to be searched, with its left and top in the original; ``larger(factor)`` gives the
    same picture so many times as large, where the original has the pixels, or else as it is; ``detect`` answers for
    each frame with the detector's rows, in pixels of that frame.
    """
    part, left, top = part_of(picture)
    factor = SIDE / max(part.shape[:2])
    if factor > 1:
        picture = larger(factor)
        part, left, top = part_of(picture)
    tiles = cut_tiles(part)
    rows = merge(tiles, detect(tiles.frames))
    return Sight(rows, picture, left, top, tiles.scale) if len(rows.scores) else None


def cut_tiles(part: Pixels) -> Tiles:
    """Scale so that the longer side is ``SIDE``; one or two tiles on each axis cover it."""
    scale = SIDE / max(part.shape[:2])
    height, width = (max(1, round(side * scale)) for side in part.shape[:2])
    method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    enlarged = cv2.resize(part, (width, height), interpolation=method)
    corners = tuple((left, top) for top in starts(height) for left in starts(width))
    frames = np.zeros((len(corners), FRAME, FRAME, 3), np.uint8)
    for frame, (left, top) in zip(frames, corners, strict=True):
        seen = enlarged[top : top + FRAME, left : left + FRAME]
        frame[: seen.shape[0], : seen.shape[1]] = seen
    return Tiles(frames, corners, width, height, scale)


def starts(length: int) -> tuple[int, ...]:
    """Where the tiles of an axis of at most ``SIDE`` pixels begin."""
    return (0, length - FRAME) if length > FRAME else (0,)


def merge(tiles: Tiles, found: list[Rows]) -> Rows:
    """The small faces of all tiles in pixels of the enlarged picture, each of them once."""
    boxes, landmarks, scores = [], [], []
    for (left, top), rows in zip(tiles.corners, found, strict=True):
        kept = _whole(rows.boxes, left, top, tiles) & (rows.boxes[:, 3] <= TALLEST)
        boxes.append(rows.boxes[kept] + np.array([left, top, 0, 0], np.float32))
        landmarks.append(rows.landmarks[kept] + np.array([left, top], np.float32))
        scores.append(rows.scores[kept])
    together = Rows(np.concatenate(boxes), np.concatenate(landmarks), np.concatenate(scores))
    order = _distinct(together)
    return Rows(together.boxes[order], together.landmarks[order], together.scores[order])


def _whole(boxes: Floats, left: int, top: int, tiles: Tiles) -> npt.NDArray[np.bool_]:
    """Which boxes (n, 4) of a tile keep away from the edges at which the picture goes on: a neighbour has the others.

    At an edge of the picture itself a face may be cut, as in the first look.
    """
    low_x, low_y = MARGIN if left else -np.inf, MARGIN if top else -np.inf
    high_x = FRAME - MARGIN if left + FRAME < tiles.width else np.inf
    high_y = FRAME - MARGIN if top + FRAME < tiles.height else np.inf
    ends = boxes[:, :2] + boxes[:, 2:]
    within_x = (boxes[:, 0] >= low_x) & (ends[:, 0] <= high_x)
    return np.asarray(within_x & (boxes[:, 1] >= low_y) & (ends[:, 1] <= high_y), np.bool_)


def _distinct(rows: Rows) -> list[int]:
    """Rows by score, without those that a better one overlaps, and no more than ``MAX_FACES``."""
    kept: list[int] = []
    for row in np.argsort(-rows.scores, kind="stable"):
        if len(kept) < MAX_FACES and all(_overlap(rows.boxes[row], rows.boxes[other]) <= SAME_FACE for other in kept):
            kept.append(int(row))
    return kept


def _overlap(one: Floats, other: Floats) -> float:
    """Intersection over union of two boxes."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / max(float(one[2] * one[3] + other[2] * other[3]) - shared, 1e-6)
