"""Triton's shell over faces.py: picture and detections in; aligned faces and what is known of each out."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

try:
    from visavis_time_limit import TimeLimit
except ImportError:  # a Triton that nobody starts anew where a model's process ended
    from contextlib import nullcontext as TimeLimit  # type: ignore[assignment]

# Triton imports this file as a part of its folder.
from .alignment import SIZE, Pixels
from .faces import Geometry, cut, largest_first
from .posture import pose
from .second_look import Rows, look_again


def _make_decoder_importable() -> None:
    """Its modules know where its pictures lie, and how a file is decoded once more."""
    package = types.ModuleType("image_decoder")
    package.__path__ = [str(Path(__file__).parents[2] / "image_decoder" / "1")]
    sys.modules[package.__name__] = package


_make_decoder_importable()
from image_decoder import decoding, framing, shelf  # noqa: E402

Array = npt.NDArray[Any]

DETECTOR = "face_detector"
DETECTED = ("boxes", "landmarks", "detection_scores", "face_count")
#: What can still be wrong with a picture that the decoder has seen, when it is decoded at a larger scale.
FAULTS: dict[type[Exception], str] = {
    decoding.PictureUnreadable: "picture_unreadable",
    MemoryError: "picture_too_large",
    cv2.error: "picture_unreadable",
}


class NotLooked(Exception):
    """The second look did not take place, so nobody knows whether there is a face; carries Triton's own error."""

    def __init__(self, error: pb_utils.TritonError) -> None:
        super().__init__(error.message())
        self.error = error


class TritonPythonModel:
    """One process; several of them share the cores."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the parameters. One thread: the instances share the cores."""
        cv2.setNumThreads(1)
        self.limit = TimeLimit()
        self.second_look = read_switch(json.loads(args["model_config"])["parameters"], "second_look")
        self.shelves = shelf.Shelves(pb_utils.Logger.log_warn)

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Each request has its own answer."""
        with self.limit:
            return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        given = Given(request)
        try:
            tensors = self._from_shelf(given)
            if tensors is None:
                tensors = self._tensors(
                    given if given["picture"] is not None else given.but(picture=self._again(given))
                )
        except NotLooked as reason:
            return pb_utils.InferenceResponse(error=reason.error)
        except tuple(FAULTS) as fault:
            word = next(word for kind, word in FAULTS.items() if isinstance(fault, kind))
            message = f"{word}: {fault}"
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in tensors.items()])

    def _from_shelf(self, given: Given) -> dict[str, Array] | None:
        """The answer, from the picture where the decoder laid it; None where it does not, or no longer, lie there."""
        if given["place"] is None or given["picture"] is not None:
            return None
        found = self.shelves.look(given["place"].tolist())
        if found is None:
            return None
        place, picture = found
        untouched = False
        try:
            tensors = self._tensors(given.but(picture=picture))
        finally:
            untouched = self.shelves.give_back(place)
        return tensors if untouched else None

    def _tensors(self, given: Given) -> dict[str, Array]:
        if self.second_look and not given["face_count"].any():
            given = given.but(**self._look_again(given))
        return self._align(given)

    def _align(self, given: Given) -> dict[str, Array]:
        geometry = Geometry(*given["geometry"].tolist())
        count = int(given["face_count"].reshape(-1)[0])
        wanted = min(max(int(given["max_faces"].reshape(-1)[0]), 0), count)
        boxes = geometry.boxes(given["boxes"].reshape(-1, 4)[:count])
        order = largest_first(boxes)
        landmarks = geometry.points(given["landmarks"].reshape(-1, 5, 2)[:count])[order]
        faces, sharp = cut(given["picture"], geometry, landmarks, wanted, lambda factor: self._larger(given, factor))
        return {
            "faces": at_least_one(faces, (SIZE, SIZE, 3)),
            "boxes": at_least_one(boxes[order], (4,)),
            "landmarks": at_least_one(landmarks, (5, 2)),
            "detection_scores": at_least_one(given["detection_scores"].reshape(-1)[:count][order], ()),
            "pose": at_least_one(pose(landmarks), (3,)),
            "sharpness": at_least_one(sharp, ()),
            "image_size": np.array([geometry.width, geometry.height], np.int32),
            "face_count": np.array([count, wanted], np.int32),
        }

    def _look_again(self, given: Given) -> dict[str, Array]:
        """What a closer look puts in the place of the first one's answer; nothing, where it finds no face either."""
        if given.request.is_cancelled():  # four detections that nobody waits for
            raise NotLooked(pb_utils.TritonError("cancelled", pb_utils.TritonError.CANCELLED))
        header = decoding.read_header(given["image"].reshape(-1)[0], sys.maxsize)
        region = tuple(given["region"].tolist())
        geometry = Geometry(*given["geometry"].tolist())
        sight = look_again(
            given["picture"],
            lambda picture: framing.crop(picture, header.upright, region),
            lambda factor: self._larger(given, factor) if geometry.reduced else given["picture"],
            lambda frames: detect(frames, given.request.timeout()),
        )
        if sight is None:
            return {}
        height, width = sight.picture.shape[:2]
        scales = sight.scale * width / geometry.width, sight.scale * height / geometry.height
        row = (geometry.width, geometry.height, width, height, sight.left, sight.top, *scales)
        return {
            "picture": sight.picture,
            "geometry": np.asarray(row, np.float32),
            "boxes": sight.rows.boxes,
            "landmarks": sight.rows.landmarks,
            "detection_scores": sight.rows.scores,
            "face_count": np.array([len(sight.rows.scores)], np.int32),
        }

    def _again(self, given: Given) -> Pixels:
        """The picture that the decoder had, decoded once more."""
        data = given["image"].reshape(-1)[0]
        header = decoding.read_header(data, sys.maxsize)
        region = tuple(given["region"].tolist())
        return decoding.decode(data, header, framing.long_side_for(header.upright, region))

    def _larger(self, given: Given, factor: float) -> Pixels:
        """The whole picture again, at least ``factor`` times as large as the one at hand."""
        data = given["image"].reshape(-1)[0]
        header = decoding.read_header(data, sys.maxsize)  # the decoder has checked the size
        return decoding.decode(data, header, max(given["picture"].shape[:2]) * factor)


class Given(dict[str, Array | Any]):
    """A request's tensors by name, read when first asked for: the encoded picture hardly ever is. None: not given."""

    def __init__(self, request: pb_utils.InferenceRequest) -> None:
        super().__init__()
        self.request = request

    def __missing__(self, name: str) -> Array | Any:
        tensor = pb_utils.get_input_tensor_by_name(self.request, name)
        value = self[name] = None if tensor is None else tensor.as_numpy()
        return value

    def but(self, **changed: Array) -> Given:
        """The same request with some tensors replaced."""
        other = Given(self.request)
        other.update(self, **changed)
        return other


def at_least_one(rows: Array, shape: tuple[int, ...]) -> Array:
    """Rows as they are, or a single row of zeros: Triton knows no empty batch."""
    return np.ascontiguousarray(rows) if len(rows) else np.zeros((1, *shape), rows.dtype)


def detect(frames: Pixels, timeout_us: int) -> list[Rows]:
    """The detector's rows for each of some frames, asked of Triton, whose instances and queue they share with others.

    One request at a time from each process: Triton has one thread for that here (``thread-pool-size``).
    """
    response = pb_utils.InferenceRequest(
        model_name=DETECTOR,
        requested_output_names=list(DETECTED),
        inputs=[pb_utils.Tensor("image", frames)],
        timeout=timeout_us,
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    ).exec()
    if response.has_error():
        raise NotLooked(response.error())
    # Copied: the answer's memory is Triton's again when this function returns.
    found = (pb_utils.get_output_tensor_by_name(response, name).as_numpy().copy() for name in DETECTED)
    return [Rows(boxes[:n], points[:n], scores[:n]) for boxes, points, scores, (n,) in zip(*found, strict=True)]


def read_switch(parameters: dict[str, dict[str, str]], name: str) -> bool:
    """A parameter that says ``on`` or ``off``."""
    said = parameters[name]["string_value"]
    if said not in {"on", "off"}:
        raise pb_utils.TritonModelException(f"parameter {name}: {said!r} is neither on nor off")
    return said == "on"
