"""Synthetic scenes: a photographed face at a chosen size, cut, turned or exposed, in its own surroundings.

All lengths are pixels. Beyond the photograph's edge a scene goes on with the photograph's own colours, blurred beyond
recognition, so that no second face comes in.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from visavis_client.errors import PictureUnreadable
from visavis_client.faces import BoundingBox

#: The detector's frame: a scene of this size is seen as it is.
FRAME: Final = 640
#: Faces that are turned or exposed have this height: easily found when they are upright and well lit.
EASY_PX: Final = 160
#: EXIF pictures are not square, so that mixed-up sides would show.
EXIF_HEIGHT: Final = 448
#: A photograph reduced to so few pixels and enlarged again has its colours and light, and no face.
BLOTCHES: Final = (8, 8)
JPEG_QUALITY: Final = 95
#: Side of a scene at most: 17 megapixels, as a camera makes them. A face of 24 pixels in the frame has 154 in it, which
#: is more than an aligned face keeps.
LARGEST_SCENE: Final = 4096
EXIF_ORIENTATION: Final = 0x0112

#: EXIF orientation -> how an upright picture is stored.
_STORED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


class Kind(StrEnum):
    """What a row of the table varies; the unit of its values."""

    SIZE = "face height, px"
    CLOSE_UP = "close-up, % of the frame"
    ROTATION = "rotation, degrees clockwise"
    EXIF = "EXIF orientation"
    EXPOSURE = "exposure, stops"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of scene; ``value`` in the unit that its kind names."""

    kind: Kind
    value: float


VALUES: Final[dict[Kind, tuple[float, ...]]] = {
    Kind.SIZE: (16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 640),
    Kind.CLOSE_UP: (60, 70, 80, 90, 100, 110, 120),
    Kind.ROTATION: (-45, -30, -15, 0, 15, 30, 45),
    Kind.EXIF: (1, 2, 3, 4, 5, 6, 7, 8),
    Kind.EXPOSURE: (-7, -6, -5, -4, -2, 1, 2, 3, 4),
}
CASES: Final = tuple(Case(kind, value) for kind, values in VALUES.items() for value in values)


@dataclass(frozen=True, slots=True)
class Scene:
    """An encoded picture, the place of its face, and the upright picture's size; the face may leave the picture."""

    image: bytes
    face: BoundingBox
    width: int
    height: int


def open_upright(data: bytes) -> Image.Image:
    """The picture as it is meant to be seen, RGB.

    Raises:
        PictureUnreadable: Pillow cannot read it, whatever the engine may.
    """
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureUnreadable(f"not a picture that Pillow can read: {error}") from error


def make_scene(photograph: Image.Image, face: BoundingBox, case: Case, draw: np.random.Generator) -> Scene:
    """``photograph`` is upright RGB, ``face`` where it shows one; ``draw`` decides where in the scene it stands."""
    if case.kind is Kind.SIZE:
        return _encode(*_place(photograph, face, case.value, draw))
    if case.kind is Kind.CLOSE_UP:
        return _encode(*_close_up(photograph, face, case.value / 100))
    if case.kind is Kind.ROTATION:
        return _encode(*_turn(photograph, face, case.value))
    if case.kind is Kind.EXIF:
        picture, place = _place(photograph, face, EASY_PX, draw, height=EXIF_HEIGHT)
        return _encode(picture, place, orientation=int(case.value))
    picture, place = _place(photograph, face, EASY_PX, draw)
    return _encode(expose(picture, case.value), place)


def expose(picture: Image.Image, stops: float) -> Image.Image:
    """As if the camera had caught ``2 ** stops`` times the light (sRGB's transfer function)."""
    stored = np.arange(256) / 255
    light = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4) * 2.0**stops
    again = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return picture.point((np.clip(again, 0, 1) * 255).round().astype(int).tolist() * 3)


def _place(
    photograph: Image.Image, face: BoundingBox, face_px: float, draw: np.random.Generator, *, height: int = FRAME
) -> tuple[Image.Image, BoundingBox]:
    """The face at a height, somewhere in the frame; in the middle where it leaves no room."""
    picture, there = _resize(photograph, face, face_px / face.height)
    left = draw.uniform(0, FRAME - there.width) if there.width < FRAME else (FRAME - there.width) / 2
    top = draw.uniform(0, height - there.height) if there.height < height else (height - there.height) / 2
    return _window(picture, there, round(there.left - left), round(there.top - top), FRAME, height)


def _close_up(photograph: Image.Image, face: BoundingBox, share: float) -> tuple[Image.Image, BoundingBox]:
    """A square cut out around the face, whose side is the face's height divided by ``share``; not scaled."""
    side = max(1, round(face.height / share))
    across, down = _centre(face)
    return _window(photograph, face, round(across - side / 2), round(down - side / 2), side, side)


def _turn(photograph: Image.Image, face: BoundingBox, degrees: float) -> tuple[Image.Image, BoundingBox]:
    """The face in the middle of the frame, turned clockwise.

    A head is closer to an ellipse than to a box: the turned face's box is that of the turned ellipse.
    """
    picture, there = _resize(photograph, face, EASY_PX / face.height)
    side = math.ceil(FRAME * math.sqrt(2)) + 1
    left, top = (round(middle - side / 2) for middle in _centre(there))
    wide, there = _window(picture, there, left, top, side, side)
    middle = _centre(there)
    turned = wide.rotate(-degrees, Image.Resampling.BICUBIC, center=middle)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width = math.hypot(there.width * cosine, there.height * sine)
    height = math.hypot(there.width * sine, there.height * cosine)
    ellipse = BoundingBox(middle[0] - width / 2, middle[1] - height / 2, width, height)
    margin = (side - FRAME) // 2
    return _window(turned, ellipse, margin, margin, FRAME, FRAME)


def _resize(photograph: Image.Image, face: BoundingBox, scale: float) -> tuple[Image.Image, BoundingBox]:
    size = tuple(max(1, round(side * scale)) for side in photograph.size)
    across, down = size[0] / photograph.width, size[1] / photograph.height
    there = BoundingBox(face.left * across, face.top * down, face.width * across, face.height * down)
    return photograph.resize((size[0], size[1]), Image.Resampling.LANCZOS), there


def _window(
    picture: Image.Image, face: BoundingBox, left: int, top: int, width: int, height: int
) -> tuple[Image.Image, BoundingBox]:
    """A part of the picture, or more than it: beyond its edge lie its colours out of focus. The face moves along."""
    moved = BoundingBox(face.left - left, face.top - top, face.width, face.height)
    inside = (max(0, left), max(0, top), min(picture.width, left + width), min(picture.height, top + height))
    known = picture.crop(inside)
    if known.size == (width, height):
        return known, moved
    window = picture.resize(BLOTCHES, Image.Resampling.BOX).resize((width, height), Image.Resampling.BICUBIC)
    window.paste(known, (inside[0] - left, inside[1] - top))
    return window, moved


def _encode(picture: Image.Image, face: BoundingBox, *, orientation: int = 1) -> Scene:
    """JPEG; stored turned, with the EXIF tag that turns it back."""
    stored = picture.transpose(_STORED[orientation]) if orientation in _STORED else picture
    tags = Image.Exif()
    tags[EXIF_ORIENTATION] = orientation
    sink = io.BytesIO()
    stored.save(sink, "JPEG", quality=JPEG_QUALITY, subsampling=0, exif=tags.tobytes())
    return Scene(sink.getvalue(), face, *picture.size)


def _centre(box: BoundingBox) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def set_back(photograph: Image.Image, face: BoundingBox, face_px: float) -> Scene:
    """The photograph, its face in the middle of a square so large that the face is ``face_px`` high in the frame.

    The photograph is as it is, but reduced where the square would be larger than :data:`LARGEST_SCENE`.
    """
    side = max(1, round(face.height * FRAME / face_px))
    if side > LARGEST_SCENE:
        photograph, face = _resize(photograph, face, LARGEST_SCENE / side)
        side = LARGEST_SCENE
    across, down = _centre(face)
    return _encode(*_window(photograph, face, round(across - side / 2), round(down - side / 2), side, side))
