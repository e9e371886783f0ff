"""The reference detector: OpenCV's own FaceDetectorYN over YuNet's original graph. The only user of OpenCV here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from visavis_accuracy.photographs import CollectionInvalid
from visavis_client.faces import BoundingBox

OVERLAP_THRESHOLD, MOST_FACES = 0.3, 5000


class OpenCvDetector:
    """Looks at every picture at several scales, and reports each for itself."""

    def __init__(self, model: Path, sizes: Sequence[int], score_threshold: float) -> None:
        """``sizes``: the longer side, pixels, that a picture is scaled to before it is searched.

        Raises:
            CollectionInvalid: there is no such file, or OpenCV cannot search a picture with it.
        """
        if not model.is_file():
            raise CollectionInvalid(f"{model} is no file: OpenCV's detector wants OpenCV Zoo's YuNet, float32")
        self.sizes = tuple(sizes)
        # One detector serves one call at a time.
        self._turn = threading.Lock()
        side, said = self.sizes[0], cv2.getLogLevel()
        # OpenCV writes lines of its own, and an assertion's source is no reason that a user could mend.
        cv2.setLogLevel(0)
        try:
            self._detector = cv2.FaceDetectorYN.create(
                str(model), "", (side, side), score_threshold, OVERLAP_THRESHOLD, MOST_FACES
            )
            # Another network shows itself only here.
            self._at(np.zeros((side, side, 3), np.uint8), side)
        except cv2.error as error:
            raise CollectionInvalid(
                f"{model} is no YuNet that OpenCV can read: its detector wants the form of OpenCV Zoo, float32"
            ) from error
        finally:
            cv2.setLogLevel(said)

    def find(self, image: bytes) -> dict[int, list[BoundingBox]]:
        """By size, the faces in pixels of the upright picture; OpenCV turns EXIF pictures upright itself."""
        picture = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise CollectionInvalid("OpenCV cannot read a picture that was written as JPEG")
        with self._turn:
            return {size: self._at(picture, size) for size in self.sizes}

    def _at(self, picture: cv2.typing.MatLike, size: int) -> list[BoundingBox]:
        height, width = picture.shape[:2]
        scale = size / max(height, width)
        scaled = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        self._detector.setInputSize(scaled)
        _, rows = self._detector.detect(cv2.resize(picture, scaled, interpolation=method))
        sides = np.empty((0, 4)) if rows is None else rows[:, :4] / scale
        return [BoundingBox(*map(float, row)) for row in sides if row[2] > 0 and row[3] > 0]
