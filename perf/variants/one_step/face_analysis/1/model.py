"""Decoder and aligner in one process, which asks Triton for both graphs: to be measured beside the ensemble.

Correct for pictures that can be read; a fault of a picture is not told in the ensemble's words.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

EMBEDDER = "face_embedder"


def _model_of(name):
    """Another model's module, as a package whose own modules it finds beside it."""
    folder = Path(__file__).parents[2] / name / "1"
    spec = importlib.util.spec_from_file_location(name, folder / "model.py", submodule_search_locations=[str(folder)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class TritonPythonModel:
    """One process, with one picture at a time."""

    def initialize(self, args):
        """Make a decoder and an aligner; both read this model's own parameters."""
        self.aligning = _model_of("face_aligner")
        self.decoder = _model_of("image_decoder").TritonPythonModel()
        self.aligner = self.aligning.TritonPythonModel()
        self.decoder.initialize(args)
        self.aligner.initialize(args)
        self.frame = sys.modules["image_decoder"].framing.new_frame()

    def execute(self, requests):
        """Each request has its own answer."""
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        given = self.aligning.Given(request)
        region = tuple(given["region"].tolist())
        decoded = self.decoder._decode(given["image"].reshape(-1)[0], region, self.frame, None)
        (rows,) = self.aligning.detect(decoded["letterbox"], request.timeout())
        aligned = self.aligner._tensors(
            given.but(
                picture=decoded["picture"],
                geometry=decoded["geometry"],
                boxes=rows.boxes,
                landmarks=rows.landmarks,
                detection_scores=rows.scores,
                face_count=np.array([len(rows.scores)], np.int32),
            )
        )
        aligned["embeddings"] = _embedded(aligned.pop("faces"), request.timeout())
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in aligned.items()])


def _embedded(faces, timeout_us):
    response = pb_utils.InferenceRequest(
        model_name=EMBEDDER,
        requested_output_names=["embedding"],
        inputs=[pb_utils.Tensor("image", faces)],
        timeout=timeout_us,
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    ).exec()
    if response.has_error():
        raise pb_utils.TritonModelException(response.error().message())
    return pb_utils.get_output_tensor_by_name(response, "embedding").as_numpy().copy()
