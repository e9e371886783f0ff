"""Triton's side of the Python ``onnxruntime`` backend: a shell over ``session.py``.

The launcher copies the files into ``<backend directory>/onnxruntime``. Every model whose ``config.pbtxt`` says
``backend: "onnxruntime"`` is then served by this file: one process for each instance.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import triton_python_backend_utils as pb_utils
from visavis_time_limit import TimeLimit


def _import_modules() -> tuple[types.ModuleType, ...]:
    # The folder is a copy, outside any package, and its name is that of the library it wraps: it needs another one.
    package = types.ModuleType("visavis_onnx")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules[package.__name__] = package
    return tuple(
        importlib.import_module(f"{package.__name__}.{name}") for name in ("configuration", "session", "endurance")
    )


if TYPE_CHECKING:
    from . import configuration, endurance, session
else:
    configuration, session, endurance = _import_modules()

#: Of a process that ends itself.
_EX_SOFTWARE = 70
#: TensorRT builds an engine in an execution of the warm-up, which takes minutes.
_BUILDING = 20


class TritonPythonModel:
    """One instance of one model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph; whatever is wrong with it stops the model from loading."""
        try:
            config = configuration.ModelConfig.from_json(args["model_config"])
            graph = Path(args["model_repository"]) / args["model_version"] / config.graph_file
            self._model = session.OnnxModel(
                config, graph, kind=args["model_instance_kind"], device_id=int(args["model_instance_device_id"])
            )
        except configuration.ModelInvalid as error:
            raise pb_utils.TritonModelException(f"{args['model_name']}: {error}") from error
        for remark in self._model.remarks:
            say = getattr(pb_utils.Logger, f"log_{remark.level}")
            say(f"{args['model_name']}: {remark.text}")
        self._name = args["model_name"]
        self._input_names = [spec.name for spec in config.inputs]
        self._endurance = endurance.Endurance(self._model.try_out)
        self._limit = TimeLimit(_BUILDING if "tensorrt" in config.gpu_accelerators else 1)

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer what the dynamic batcher gathered; a fault is every request's answer, and Triton goes on."""
        with self._limit:
            return self._execute(requests)

    def _execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        try:
            answers = self._model.run([self._tensors(request) for request in requests])
        except configuration.ExecutionFault as error:
            if self._endurance.is_spent():
                # Triton would call the model ready for ever; the launcher sees that a process is gone and starts anew.
                # Not by Logger: what it was told is lost with the process.
                sys.stderr.write(f"{self._name}: nothing can be computed any more, so this process ends: {error}\n")
                sys.stderr.flush()
                os._exit(_EX_SOFTWARE)
            fault = pb_utils.TritonError(f"the batch could not be computed: {error}")
            return [pb_utils.InferenceResponse(error=fault) for _ in requests]
        self._endurance.succeeded()
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, values) for name, values in answer.items()])
            for answer in answers
        ]

    def _tensors(self, request: pb_utils.InferenceRequest) -> configuration.Tensors:
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._input_names}
