"""Pictures to verify with: drawn ones always, two public-domain portraits where a package brings them along.

Drawn faces are simple, but YuNet finds them, and they make the export need nothing but itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from visavis_export.detector import FRAME
from visavis_export.embedder import FACE
from visavis_export.errors import ExportError

Pixels = npt.NDArray[np.uint8]

#: Package and place of Grace Hopper's and Eileen Collins's portraits (both NASA or US Navy, public domain).
_PORTRAITS = (("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"), ("skimage", "data/astronaut.png"))
_DRAWN = 6
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})


def frames() -> Pixels:
    """Letterboxes to detect in: uint8 (n, 640, 640, 3) RGB, n at least 8, the last of them noise without a face."""
    random = np.random.default_rng(20231)
    drawn = [_drawing(random) for _ in range(_DRAWN)]
    turned = [view for portrait in _portraits() for view in _views(portrait)]
    noise = random.integers(0, 256, (FRAME, FRAME, 3), np.uint8)
    return np.stack([*drawn, *turned, np.zeros_like(noise), noise])


def crops(letterboxes: Pixels) -> Pixels:
    """Pieces to embed, one from the middle of each letterbox: uint8 (n, 112, 112, 3)."""
    first = (FRAME - 2 * FACE) // 2
    middle = letterboxes[:, first : first + 2 * FACE : 2, first : first + 2 * FACE : 2]
    return np.ascontiguousarray(middle)


def photograph_files(directory: Path, limit: int) -> list[Path]:
    """At most so many of the photographs in a folder, searched to any depth, evenly spread.

    Raises:
        ExportError: it holds none, or cannot be read.
    """
    try:
        found = sorted(path for path in directory.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    except OSError as error:
        raise ExportError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if not found:
        raise ExportError(f"{directory} holds no photographs.")
    step = max(1, len(found) // limit)
    return found[::step][:limit]


def letterbox_of(path: Path) -> Pixels:
    """A photograph to detect in: uint8 (640, 640, 3) RGB, upright.

    Raises:
        ExportError: it cannot be read.
    """
    try:
        with Image.open(path) as picture:
            return fit(np.asarray(ImageOps.exif_transpose(picture).convert("RGB")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        raise ExportError(f"{path} is no picture that can be read: {error}.") from error


def fit(picture: Pixels) -> Pixels:
    """A picture in the top left of a black frame."""
    scale = FRAME / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:FRAME, :FRAME]
    frame = np.zeros((FRAME, FRAME, 3), np.uint8)
    frame[: small.shape[0], : small.shape[1]] = small
    return frame


def _portraits() -> Iterator[Pixels]:
    for package, place in _PORTRAITS:
        # Only asked where it lies; the package's code is not run.
        found = importlib.util.find_spec(package)
        path = Path(found.origin).parent / place if found and found.origin else None
        if path and path.is_file():
            with Image.open(path) as picture:
                yield np.asarray(picture.convert("RGB"))


def _views(portrait: Pixels) -> Iterator[Pixels]:
    """As it is; and three small mirrored ones, tilted against each other."""
    yield fit(portrait)
    small = fit(portrait)[::4, ::4]
    side = small.shape[0]
    frame = np.full((FRAME, FRAME, 3), 90, np.uint8)
    for place, angle in enumerate((-20, 0, 20)):
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1)
        frame[place * side : (place + 1) * side, :side] = cv2.warpAffine(small, turn, (side, side))[:, ::-1]
    yield frame


def _drawing(random: np.random.Generator) -> Pixels:
    canvas = np.full((FRAME, FRAME, 3), random.integers(40, 220, 3), np.uint8)
    for _ in range(4):
        radius = int(random.integers(40, 120))
        x, y = (int(v) for v in random.integers(radius + 10, FRAME - radius - 10, 2))
        _draw_face(canvas, x, y, radius, tuple(int(v) for v in random.integers((180, 130, 100), (235, 180, 150))))
    return np.asarray(cv2.GaussianBlur(canvas, (5, 5), 0), np.uint8)


def _draw_face(canvas: Pixels, x: int, y: int, radius: int, skin: tuple[int, ...]) -> None:
    def part(dx: float, dy: float, wide: float, high: float, colour: tuple[int, ...], arc: tuple[int, int]) -> None:
        centre = (x + int(dx * radius), y + int(dy * radius))
        axes = (max(2, int(wide * radius)), max(2, int(high * radius)))
        cv2.ellipse(canvas, centre, axes, 0, *arc, colour, -1)

    whole, upper, lower = (0, 360), (180, 360), (0, 180)
    part(0, 0, 0.75, 1, skin, whole)
    part(0, -0.6, 0.8, 0.5, (50, 35, 25), upper)
    for side in (-1, 1):
        part(side * 0.3, -0.15, 0.13, 0.07, (245, 245, 245), whole)
        part(side * 0.3, -0.15, 0.06, 0.06, (40, 30, 30), whole)
        part(side * 0.3, -0.3, 0.17, 0.05, (60, 40, 30), upper)
    part(0, 0.2, 0.1, 0.06, (150, 100, 80), whole)
    part(0, 0.5, 0.28, 0.1, (170, 70, 70), lower)
