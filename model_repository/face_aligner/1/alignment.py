"""Five landmarks -> the standard 112x112 face. Knows no Triton.

The template is the one that ArcFace (Deng et al., 2019) and all its descendants were trained on, SFace among them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
#: float64 (2, 3): maps picture pixels to pixels of the aligned face.
Transform = npt.NDArray[np.float64]

SIZE = 112
#: Pixels of the aligned face: the viewer's left eye, right eye, nose, left and right mouth corner.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
#: OpenCV warps no picture with a longer side.
WARP_LIMIT = 32_000
_CENTRE = TEMPLATE.mean(axis=0)
#: As complex numbers around their middle, and that middle.
_TARGET = [complex(*point) for point in TEMPLATE - _CENTRE]
_MIDDLE = complex(*_CENTRE)


def similarity(landmarks: Iterable[Iterable[float]]) -> Transform:
    """The least-squares similarity (rotation, scale, shift; no mirroring) from landmarks (5, 2) to the template.

    With points as complex numbers it is ``w = a z + b``, and ``a`` has a closed form: the projection of the centred
    target on the centred source. Landmarks that all fall on one point give a shift at scale 1.
    """
    # Plain numbers: between two graphs nothing of numpy is in the cache, and these are five.
    points = [complex(*point) for point in landmarks]
    middle = sum(points) / len(points)
    source = [point - middle for point in points]
    spread = sum(abs(point) ** 2 for point in source)
    a = sum(z.conjugate() * w for z, w in zip(source, _TARGET, strict=True)) / spread if spread > 1e-6 else 1 + 0j
    if abs(a) < 1e-6:
        a = 1 + 0j
    shift = _MIDDLE - a * middle
    return np.array([[a.real, -a.imag, shift.real], [a.imag, a.real, shift.imag]])


def scale_of(transform: Transform) -> float:
    """Pixels of the aligned face per picture pixel: below 1 the face is shrunk, above 1 enlarged."""
    return math.hypot(transform[0, 0], transform[1, 0])


def align(picture: Pixels, transform: Transform, size: int = SIZE) -> Pixels:
    """Cut a face out of uint8 (h, w, 3): uint8 (size, size, 3), black beyond the picture's edge.

    A face more than twice as large as the result is first shrunk by averaging, so that no pixel is skipped.
    """
    factor = int(1.0 / max(scale_of(transform), 1e-6) / (size / SIZE))
    matrix = transform * (size / SIZE)
    if factor >= 2 or max(picture.shape[:2]) > WARP_LIMIT:
        picture, matrix = _shrink(picture, matrix, size, max(factor, 1))
    # OpenCV keeps the type of the pixels that it is given, which its own types do not say.
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _shrink(picture: Pixels, matrix: Transform, size: int, factor: int) -> tuple[Pixels, Transform]:
    """The face's surroundings averaged over factor x factor pixels, and the transform from there."""
    (a, b, c), (d, e, f) = cv2.invertAffineTransform(matrix).tolist()
    left, right = _span([c, a * size + c, b * size + c, (a + b) * size + c], picture.shape[1], factor)
    top, bottom = _span([f, d * size + f, e * size + f, (d + e) * size + f], picture.shape[0], factor)
    width, height = max((right - left) // factor, 1), max((bottom - top) // factor, 1)
    small = cv2.resize(picture[top:bottom, left:right], (width, height), interpolation=cv2.INTER_AREA)
    # Pixel centres: x = left - 1/2 + ratio (x' + 1/2)
    across, down = (right - left) / width, (bottom - top) / height
    grow = np.array([[across, 0, left + (across - 1) / 2], [0, down, top + (down - 1) / 2], [0, 0, 1]])
    return small, matrix @ grow  # type: ignore[return-value]


def _span(places: list[float], limit: int, factor: int) -> tuple[int, int]:
    """First and one past the last pixel of an axis around some places, inside a picture of ``limit`` pixels.

    A whole multiple of ``factor`` where the picture has the room: whole blocks are averaged several times as fast.
    """
    first = min(max(math.floor(min(places)) - 2 * factor, 0), limit - 1)
    last = min(max(math.ceil(max(places)) + 2 * factor, first + 1), limit)
    missing = -(last - first) % factor
    if first >= missing:
        return first - missing, last
    return first, last + missing if last + missing <= limit else last
