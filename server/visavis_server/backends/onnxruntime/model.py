"""Triton's side of the Python ``onnxruntime`` backend: a shell over ``session.py``.

The launcher copies the files into ``<backend directory>/onnxruntime``. Every model whose ``config.pbtxt`` says
``backend: "onnxruntime"`` is then served by this file: one process for each instance.
"""

import importlib
import sys
import types
from pathlib import Path

import triton_python_backend_utils as pb_utils


def _import_session():
    # The folder is a copy, outside any package, and its name is that of the library it wraps: it needs another one.
    package = types.ModuleType("visavis_onnx")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.session")


session = _import_session()


class TritonPythonModel:
    """One instance of one model."""

    def initialize(self, args):
        """Load the graph; whatever is wrong with it stops the model from loading."""
        try:
            config = session.ModelConfig.from_json(args["model_config"])
            graph = Path(args["model_repository"]) / args["model_version"] / config.graph_file
            self._model = session.OnnxModel(
                config, graph, kind=args["model_instance_kind"], device_id=int(args["model_instance_device_id"])
            )
        except session.ModelInvalid as error:
            raise pb_utils.TritonModelException(f"{args['model_name']}: {error}") from error
        self._input_names = [spec.name for spec in config.inputs]

    def execute(self, requests):
        """Answer what the dynamic batcher gathered; a fault is every request's answer, and Triton goes on."""
        try:
            answers = self._model.run([self._tensors(request) for request in requests])
        except session.ExecutionFault as error:
            fault = pb_utils.TritonError(f"the batch could not be computed: {error}")
            return [pb_utils.InferenceResponse(error=fault) for _ in requests]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, values) for name, values in answer.items()])
            for answer in answers
        ]

    def _tensors(self, request):
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._input_names}
