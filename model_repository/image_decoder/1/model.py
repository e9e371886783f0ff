"""Triton's shell over decoding.py, framing.py and shelf.py: encoded bytes in; letterbox, geometry and the picture out.

The picture itself is an output for whoever asks for it; the ensemble asks for the place where it lies instead.
"""

from __future__ import annotations

import json
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
from . import decoding, framing, shelf

#: The word that the client knows a fault of the picture by (docs/architecture.md).
FAULTS: dict[type[Exception], str] = {
    decoding.PictureUnreadable: "picture_unreadable",
    decoding.PictureTooLarge: "picture_too_large",
    framing.RegionInvalid: "region_invalid",
    MemoryError: "picture_too_large",
    cv2.error: "picture_unreadable",
}


class TritonPythonModel:
    """One process; several of them share the cores."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the limits from the model's parameters."""
        cv2.setNumThreads(1)
        parameters = json.loads(args["model_config"])["parameters"]
        self.max_pixels = int(parameters["max_pixels"]["string_value"])
        self.frames: list[decoding.Pixels] = []
        self.limit = TimeLimit()
        self.shelf: shelf.Shelf | None = None
        try:
            self.shelf = shelf.Shelf()
        except OSError as reason:
            pb_utils.Logger.log_warn(f"the aligner must decode every picture again: {reason}")

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Each request has its own answer; one bad picture harms no other."""
        # A frame is free again once Triton has copied the answers, which it has before it calls the next time.
        self.frames += [framing.new_frame() for _ in range(len(requests) - len(self.frames))]
        with self.limit:
            return [self._answer(request, frame) for request, frame in zip(requests, self.frames, strict=False)]

    def finalize(self) -> None:
        """Let the shelf go."""
        if self.shelf:
            self.shelf.close()

    def _answer(self, request: pb_utils.InferenceRequest, frame: decoding.Pixels) -> pb_utils.InferenceResponse:
        image = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        region = pb_utils.get_input_tensor_by_name(request, "region").as_numpy()
        wanted = request.requested_output_names()
        slot = self.shelf.free() if self.shelf and "place" in wanted else None
        tensors = None
        try:
            tensors = self._decode(image.reshape(-1)[0], tuple(region.tolist()), frame, slot)
        except tuple(FAULTS) as fault:
            word = next(word for kind, word in FAULTS.items() if isinstance(fault, kind))
            message = f"{word}: {fault}"
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG))
        else:
            return pb_utils.InferenceResponse([pb_utils.Tensor(name, tensors[name]) for name in wanted])
        finally:
            if self.shelf and slot is not None and tensors is None:
                self.shelf.take_back(slot)

    def _decode(
        self, data: bytes, region: framing.Region, frame: decoding.Pixels, slot: int | None
    ) -> dict[str, npt.NDArray[Any]]:
        header = decoding.read_header(data, self.max_pixels)
        room = self.shelf.room(slot) if self.shelf and slot is not None else None
        picture = decoding.decode(data, header, framing.long_side_for(header.upright, region), room)
        part, left, top = framing.crop(picture, header.upright, region)
        frame, scale = framing.letterbox(part, frame)
        width, height = header.upright
        # geometry: size of the original, size of the picture at hand, where the searched part begins in the original,
        # and frame pixels per original pixel in x and y.
        shrink_x, shrink_y = picture.shape[1] / width, picture.shape[0] / height
        row = (width, height, picture.shape[1], picture.shape[0], left, top, scale * shrink_x, scale * shrink_y)
        return {
            "letterbox": frame,
            "picture": picture,
            "place": self.shelf.lay(picture, slot) if self.shelf and slot is not None else shelf.NOWHERE,
            "geometry": np.array(row, np.float32),
        }
