"""A request's work with nothing around it, in one process: what an idle service is compared with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from visavis_perf.bare import DECODERS, Ways, load
from visavis_perf.inputs import DETECTOR_SIDE, EMBEDDER_SIDE

#: A picture's, under the names of the service's steps; letterboxing is the decoder's there, too.
PARTS = ("decode", "detect", "align", "embed")
#: Where the viewer's left eye, right eye and nose come to lie in a 112×112 face (ArcFace's usual template).
_ALIGNED = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366]], np.float32)


class BareService:
    """The same work as a request of the service, in this process: decode, letterbox, detect, align, embed."""

    def __init__(self, ways: Ways, repository: Path, threads: int = 1, pictures_at_once: int = 1) -> None:
        """``threads``: those of each graph, as the service's own configuration has them."""
        cv2.setNumThreads(threads)
        self._decode = DECODERS[ways.decoder]
        self._lanes = [
            tuple(
                load(way.runtime, repository / model / "1" / "model.onnx", threads=threads)
                for model, way in (("face_detector", ways.detector), ("face_embedder", ways.embedder))
            )
            for _ in range(pictures_at_once)
        ]
        self._pool = ThreadPoolExecutor(pictures_at_once)
        self._parts_s: list[tuple[float, ...]] = []

    def answer(self, jpegs: Sequence[bytes]) -> list[npt.NDArray[np.float32]]:
        """Embeddings of one request's pictures, at most one for each lane, side by side."""
        if len(jpegs) == 1:
            return [self._one(0, jpegs[0])]
        return list(self._pool.map(self._one, range(len(jpegs)), jpegs))

    def _one(self, lane: int, jpeg: bytes) -> npt.NDArray[np.float32]:
        detector, embedder = self._lanes[lane]
        clock = [time.perf_counter()]
        picture = self._decode(jpeg)
        height, width = picture.shape[:2]
        scale = DETECTOR_SIDE / max(height, width)
        letterbox = np.zeros((1, DETECTOR_SIDE, DETECTOR_SIDE, 3), np.uint8)
        size = (round(width * scale), round(height * scale))
        letterbox[0, : size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        clock.append(time.perf_counter())
        points = detector(letterbox)["landmarks"][0, 0, :3].astype(np.float32) / scale
        clock.append(time.perf_counter())
        turn = cv2.getAffineTransform(points, _ALIGNED)
        face = cv2.warpAffine(picture, turn, (EMBEDDER_SIDE, EMBEDDER_SIDE), flags=cv2.INTER_LINEAR)
        clock.append(time.perf_counter())
        embedding: npt.NDArray[np.float32] = np.array(embedder(face[None])["embedding"][0], np.float32)
        clock.append(time.perf_counter())
        self._parts_s.append(tuple(after - before for before, after in pairwise(clock)))
        return embedding

    def times_s(self, requests: Sequence[Sequence[bytes]]) -> list[float]:
        """Seconds of each request, one after another."""
        times = []
        for request in requests:
            start = time.perf_counter()
            self.answer(request)
            times.append(time.perf_counter() - start)
        return times

    def take_parts_s(self) -> list[tuple[float, ...]]:
        """Seconds of the parts, as PARTS has them, of each picture since the last call."""
        taken, self._parts_s = self._parts_s, []
        return taken
