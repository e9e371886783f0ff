"""How a face is turned and how sharp it is, from its landmarks and its aligned picture. Knows no Triton."""

from __future__ import annotations

import math
from operator import mul
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

#: A mean adult face in millimetres, origin between the eyes: x to the viewer's right, y down, z towards the camera.
#: Order: the viewer's left eye, right eye, nose tip, left and right mouth corner.
MEAN_FACE = np.array([[-31.5, 0.0, 0.0], [31.5, 0.0, 0.0], [0.0, 39.2, 32.0], [-25.5, 71.0, 3.0], [25.5, 71.0, 3.0]])
#: Three rows of five: what turns centred landmarks into the two visible rows of a scaled rotation, by least squares.
_SOLVER = np.linalg.pinv(MEAN_FACE - MEAN_FACE.mean(axis=0)).tolist()

#: How thin landmarks may be before they say nothing of a turn.
_FLAT = 1e-9

#: The share of a picture's edges that a small extra blur takes away: below the first it is blurred beyond use,
#: above the second it is sharp.
_BLURRED, _SHARP = 0.12, 0.62


def pose(landmarks: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Yaw, pitch and roll of landmarks (n, 5, 2): float32 (n, 3), degrees.

    The camera is taken for an orthographic one. yaw > 0: the face looks to the viewer's right; pitch > 0: up;
    roll > 0: its top leans to the viewer's right (clockwise as seen). The rotation is R = Rz(roll) Rx Ry.
    """
    angles = [_angles(points) for points in np.asarray(landmarks, np.float64).tolist()]
    return np.array(angles, np.float32).reshape(-1, 3)


def _angles(points: list[list[float]]) -> tuple[float, float, float]:
    """Of one face. Plain numbers: between two graphs nothing of numpy is in the cache, and a face has ten of them."""
    across, down = ([point[axis] for point in points] for axis in (0, 1))
    # The solver's rows sum to zero, so it matters not where the origin is.
    x = [sum(map(mul, row, across)) for row in _SOLVER]
    y = [sum(map(mul, row, down)) for row in _SOLVER]
    # The nearest rotation's two rows: (A)^-1/2 of the rows' products A, which for 2x2 has a closed form.
    xx, xy, yy = (sum(map(mul, *pair)) for pair in ((x, x), (x, y), (y, y)))
    root = math.sqrt(max(xx * yy - xy * xy, 0.0))
    whole = root * math.sqrt(xx + yy + 2 * root)
    if whole < _FLAT * (xx + yy) ** 1.5 or not whole:
        return 0.0, 0.0, 0.0  # all on one line: a face seen from nowhere
    first = [((yy + root) * a - xy * b) / whole for a, b in zip(x, y, strict=True)]
    second = [((xx + root) * b - xy * a) / whole for a, b in zip(x, y, strict=True)]
    depth_x = first[1] * second[2] - first[2] * second[1]
    depth_y = first[2] * second[0] - first[0] * second[2]
    depth_z = first[0] * second[1] - first[1] * second[0]
    return (
        math.degrees(math.atan2(-depth_x, depth_z)),
        math.degrees(math.asin(min(1.0, max(-1.0, depth_y)))),
        math.degrees(math.atan2(-first[1], second[1])),
    )


def sharpness(face: Pixels) -> float:
    """Sharpness of an aligned face, uint8 (s, s, 3) at its native size or smaller: 0 (blurred) to 1 (sharp).

    A picture is blurred once more, and what share of its edges that takes away is measured (the idea of Crete et al.,
    2007): a sharp picture loses much, a blurred one little. Contrast and brightness cancel out.
    """
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lost = total = 0.0
    for kernel, ahead, behind in (((9, 1), np.s_[:, 1:], np.s_[:, :-1]), ((1, 9), np.s_[1:], np.s_[:-1])):
        blurred = cv2.blur(grey, kernel)
        before = cv2.absdiff(grey[ahead], grey[behind])
        after = cv2.absdiff(blurred[ahead], blurred[behind])
        edges = cv2.sumElems(before)[0]
        # What is above zero in a difference is half of its size and its sum together.
        lost += (cv2.norm(before, after, cv2.NORM_L1) + edges - cv2.sumElems(after)[0]) / 2
        total += edges
    if total < 1e-3 * grey.size:
        return 0.0  # a flat picture has no edge to be sharp
    return min(max((lost / total - _BLURRED) / (_SHARP - _BLURRED), 0.0), 1.0)
