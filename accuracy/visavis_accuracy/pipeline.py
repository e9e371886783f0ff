"""What the Python models compute, outside Triton: the plain modules of a model repository, timed and looked at.

They are the very files that Triton's processes run, so a frame made here is the detector's to the bit.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from visavis_accuracy.photographs import CollectionInvalid

Pixels = npt.NDArray[np.uint8]

#: How often either way of cutting a face out is timed, in turns.
TURNS: Final = 7
_WHOLE: Final = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Cutting:
    """CPU milliseconds of one core that it takes to align one face."""

    from_picture: float
    from_frame: float


class Pipeline:
    """The decoder and the aligner of a model repository."""

    def __init__(self, repository: Path) -> None:
        """Raises CollectionInvalid where the repository lacks them, or a library that they need is missing."""
        self._decoding = _module(repository / "image_decoder" / "1", "decoding")
        self._framing = _module(repository / "image_decoder" / "1", "framing")
        self._faces = _module(repository / "face_aligner" / "1", "faces")
        import cv2  # which the modules have found just now

        cv2.setNumThreads(1)  # as the served models do: times are of one core

    def frame(self, image: bytes) -> Pixels:
        """The picture as the detector sees it, without the black beside it: uint8 (h, w, 3) RGB, upright."""
        _, picture = self._decoded(image)
        return self._letterbox(picture)[0]

    def cutting(self, image: bytes, landmarks: npt.NDArray[np.float32]) -> Cutting:
        """Time the alignment of the face at (5, 2) pixels of the upright original, by medians over turns."""
        header, picture = self._decoded(image)
        seen, scale = self._letterbox(picture)
        (width, height), (down, across) = header.upright, picture.shape[:2]
        scales = scale * across / width, scale * down / height
        geometry = self._faces.Geometry(width, height, across, down, 0.0, 0.0, *scales)
        in_frame = replace(geometry, picture_width=seen.shape[1], picture_height=seen.shape[0])
        points = landmarks[None]

        def larger(factor: float) -> Pixels:
            again: Pixels = self._decoding.decode(image, header, max(picture.shape[:2]) * factor)
            return again

        ways: tuple[Callable[[], object], ...] = (
            lambda: self._faces.cut(picture, geometry, points, 1, larger),
            lambda: self._faces.cut(seen, in_frame, points, 1, lambda _: seen),
        )
        turns = [[_cpu_ms(way) for way in ways] for _ in range(TURNS)]
        return Cutting(*(statistics.median(times) for times in zip(*turns, strict=True)))

    def _decoded(self, image: bytes) -> tuple[Any, Pixels]:
        header = self._decoding.read_header(image, sys.maxsize)
        return header, self._decoding.decode(image, header, self._framing.long_side_for(header.upright, _WHOLE))

    def _letterbox(self, picture: Pixels) -> tuple[Pixels, float]:
        frame, scale = self._framing.letterbox(picture)
        down, across = (max(1, round(side * scale)) for side in picture.shape[:2])
        return np.ascontiguousarray(frame[0, :down, :across]), scale


def _cpu_ms(act: Callable[[], object]) -> float:
    began = time.thread_time()
    act()
    return 1000 * (time.thread_time() - began)


def _module(folder: Path, name: str) -> Any:
    """One of the plain modules, as part of a package that is its folder alone.

    They stand outside every package; by their bare names others could be meant, which this process has loaded before.
    """
    if not (folder / f"{name}.py").is_file():
        raise CollectionInvalid(f"{folder} has no {name}.py: that model repository is not whole")
    package = ModuleType(f"_visavis_served_{bytes(folder.resolve()).hex()}")
    package.__path__ = [str(folder)]
    sys.modules.setdefault(package.__name__, package)
    try:
        return importlib.import_module(f"{package.__name__}.{name}")
    except ImportError as error:
        raise CollectionInvalid(
            f"{folder / name}.py cannot be run here ({error}): install the extras "
            "`accuracy` and `embedded` (in the project's folder: pip install '.[accuracy,embedded]')"
        ) from error
