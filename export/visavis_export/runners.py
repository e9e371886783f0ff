"""Running networks: ours in onnxruntime, the originals in OpenCV, with the same words for both."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from visavis_export.detector import FRAME, MAX_FACES
from visavis_export.matching import Faces, Floats
from visavis_export.pack import DetectorRecipe

Pixels = npt.NDArray[np.uint8]
#: What onnxruntime raises for a graph that it does not run: it has no common root.
REFUSALS = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.NotImplemented,
    runtime.RuntimeException,
)


class OurDetector:
    """The graph `face_detector`."""

    def __init__(self, graph: bytes) -> None:
        self._session = session_of(graph)

    def detect(self, frames: Pixels) -> list[Faces]:
        """Faces of each frame of uint8 (n, 640, 640, 3) RGB, in one execution."""
        boxes, landmarks, scores, counts = self._session.run(
            ["boxes", "landmarks", "detection_scores", "face_count"], {"image": frames}
        )
        return [Faces(b[:n], p[:n], s[:n]) for b, p, s, (n,) in zip(boxes, landmarks, scores, counts, strict=True)]


class OurEmbedder:
    """The graph `face_embedder`."""

    def __init__(self, graph: bytes) -> None:
        self._session = session_of(graph)

    def embed(self, faces: Pixels) -> Floats:
        """Raw embeddings float32 (n, d) of uint8 (n, 112, 112, 3) RGB."""
        embeddings: Floats = self._session.run(["embedding"], {"image": faces})[0]
        return embeddings


class ReferenceDetector:
    """OpenCV's FaceDetectorYN around the original network."""

    def __init__(self, network: bytes, recipe: DetectorRecipe) -> None:
        self._detector = cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(network, np.uint8),
            np.empty(0, np.uint8),
            (FRAME, FRAME),
            recipe.tall_score_threshold,
            recipe.overlap_threshold,
        )
        self._recipe = recipe

    def detect(self, frame: Pixels) -> Faces:
        """Its best 32 faces in uint8 (640, 640, 3) RGB that score as much as their height demands."""
        _, rows = self._detector.detect(np.ascontiguousarray(frame[:, :, ::-1]))
        table: Floats = np.empty((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
        table = table[table[:, 14] > demanded(self._recipe, table[:, 3])][:MAX_FACES]
        return Faces(table[:, :4], table[:, 4:14].reshape(-1, 5, 2), table[:, 14])


class ReferenceEmbedder:
    """OpenCV's FaceRecognizerSF around the original network."""

    def __init__(self, network: bytes) -> None:
        self._recogniser = cv2.FaceRecognizerSF.create("onnx", np.frombuffer(network, np.uint8), np.empty(0, np.uint8))

    def align(self, picture: Pixels, landmarks: Floats) -> Pixels:
        """OpenCV's own aligned face, uint8 (112, 112, 3) RGB, of landmarks (5, 2) in a RGB picture."""
        row = np.concatenate([np.zeros(4), landmarks.reshape(-1), [1]]).astype(np.float32)
        face = self._recogniser.alignCrop(np.ascontiguousarray(picture[:, :, ::-1]), row)
        return np.ascontiguousarray(face[:, :, ::-1], np.uint8)

    def embed(self, face: Pixels) -> Floats:
        """Raw embedding float32 (d,) of uint8 (112, 112, 3) RGB."""
        # Copied: OpenCV hands out the same memory again.
        return np.array(self._recogniser.feature(np.ascontiguousarray(face[:, :, ::-1])), np.float32).reshape(-1)


def demanded(recipe: DetectorRecipe, heights: Floats) -> Floats:
    """The score that faces of these heights, pixels of the frame, must exceed."""
    ramp = recipe.score_threshold - recipe.score_fall * (heights / FRAME - recipe.tall_from)
    return np.clip(ramp, recipe.tall_score_threshold, recipe.score_threshold)


def session_of(graph: bytes) -> onnxruntime.InferenceSession:
    """The graph in onnxruntime, on the CPU, silent but for errors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
