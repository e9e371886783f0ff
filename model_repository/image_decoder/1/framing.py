"""What of an upright picture the detector is shown: a region of it, fitted into the letterbox. Knows no Triton.

A region is left, top, width and height in pixels of the upright original, all zeros for the whole picture; a size is
width and height. The picture at hand may be the original reduced.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
#: Left, top, width, height.
Region = tuple[int, int, int, int]

#: The detector's frame, pixels.
FRAME = 640


class RegionInvalid(Exception):
    """The region is empty or lies outside the picture."""


def new_frame() -> Pixels:
    """Room for one letterbox, not yet filled."""
    return np.empty((1, FRAME, FRAME, 3), np.uint8)


def letterbox(picture: Pixels, frame: Pixels | None = None) -> tuple[Pixels, float]:
    """Fit a picture into the top left of a black frame: uint8 (1, 640, 640, 3), and frame pixels per picture pixel.

    ``frame`` is one of before, to be filled anew: mapping fresh memory takes longer than scaling a small picture.
    """
    height, width = picture.shape[:2]
    scale = FRAME / max(height, width)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    frame = new_frame() if frame is None else frame
    frame[0, down:] = 0
    frame[0, :down, across:] = 0
    # Area averaging where pixels would be skipped; between half and full size linear loses nothing and is faster.
    method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    cv2.resize(picture, (across, down), dst=frame[0, :down, :across], interpolation=method)
    return frame, scale


def crop(picture: Pixels, size: tuple[int, int], region: Region) -> tuple[Pixels, float, float]:
    """The part of a picture inside a region, and its left and top, for an original of this size.

    Left and top are those of the part as it was really cut, in original pixels.

    Raises:
        RegionInvalid: nothing of it lies in the picture.
    """
    if not any(region):
        return picture, 0.0, 0.0
    left, top, right, bottom = clip_region(size, region)
    shrink_x, shrink_y = picture.shape[1] / size[0], picture.shape[0] / size[1]
    x0, y0 = int(left * shrink_x), int(top * shrink_y)
    x1, y1 = max(x0 + 1, round(right * shrink_x)), max(y0 + 1, round(bottom * shrink_y))
    return picture[y0:y1, x0:x1], x0 / shrink_x, y0 / shrink_y


def clip_region(size: tuple[int, int], region: Region) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a region inside an original of this size.

    Raises:
        RegionInvalid: nothing of it lies in the picture.
    """
    width, height = size
    left, top, across, down = region
    right, bottom = min(width, left + across), min(height, top + down)
    left, top = max(0, left), max(0, top)
    if across <= 0 or down <= 0 or right <= left or bottom <= top:
        raise RegionInvalid(f"{region} holds nothing of a picture of {width}x{height}")
    return left, top, right, bottom


def long_side_for(size: tuple[int, int], region: Region) -> float:
    """How long the longer side of the whole decoded picture must be for its region to fill the letterbox."""
    longest = float(max(size))
    if not any(region):
        return min(longest, FRAME)
    left, top, right, bottom = clip_region(size, region)
    return min(longest, FRAME * longest / max(right - left, bottom - top))
