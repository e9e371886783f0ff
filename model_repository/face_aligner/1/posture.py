"""How a face is turned and how sharp it is, from its landmarks and its aligned picture. Knows no Triton."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

#: A mean adult face in millimetres, origin between the eyes: x to the viewer's right, y down, z towards the camera.
#: Order: the viewer's left eye, right eye, nose tip, left and right mouth corner.
MEAN_FACE = np.array([[-31.5, 0.0, 0.0], [31.5, 0.0, 0.0], [0.0, 39.2, 32.0], [-25.5, 71.0, 3.0], [25.5, 71.0, 3.0]])
#: (5, 3): what turns centred landmarks into the two visible rows of a scaled rotation, by least squares.
_SOLVER = np.linalg.pinv(MEAN_FACE - MEAN_FACE.mean(axis=0)).T

#: The share of a picture's edges that a small extra blur takes away: below the first it is blurred beyond use,
#: above the second it is sharp.
_BLURRED, _SHARP = 0.12, 0.62


def pose(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Yaw, pitch and roll of landmarks (n, 5, 2): float32 (n, 3), degrees.

    The camera is taken for an orthographic one. yaw > 0: the face looks to the viewer's right; pitch > 0: up;
    roll > 0: its top leans to the viewer's right (clockwise as seen). The rotation is R = Rz(roll) Rx Ry.
    """
    points = np.asarray(landmarks, np.float64)
    seen = np.swapaxes(points - points.mean(axis=1, keepdims=True), 1, 2) @ _SOLVER
    left, _, right = np.linalg.svd(seen, full_matrices=False)
    rows = left @ right
    depth = np.cross(rows[:, 0], rows[:, 1])  # the rotation's third row
    yaw = np.arctan2(-depth[:, 0], depth[:, 2])
    pitch = np.arcsin(np.clip(depth[:, 1], -1, 1))
    roll = np.arctan2(-rows[:, 0, 1], rows[:, 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], axis=1)).astype(np.float32)


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
    return float(np.clip((lost / total - _BLURRED) / (_SHARP - _BLURRED), 0.0, 1.0))
