"""The same graph by OpenVINO on a processor, for ``cpu_execution_accelerator { name: "openvino" }``.

Of the accelerator's parameters one is honoured, under the name that onnxruntime's OpenVINO provider gives it:
``precision``. ``FP32`` computes in float32; ``BF16``, as well as saying nothing, computes in bfloat16 where the
processor has instructions for it, else in float32. Of the model's own, ``intra_op_thread_count`` alone has a meaning
here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from .configuration import ExecutionFault, ModelConfig, ModelInvalid, Port, Tensors, fits

NAME = "openvino"
_PRECISIONS = ("BF16", "FP32")

#: onnxruntime's names of OpenVINO's element types.
_TYPES: Mapping[str, str] = {
    "boolean": "tensor(bool)",
    **{
        f"{sign}{bits}": f"tensor({word}{bits})"
        for sign, word in (("u", "uint"), ("i", "int"))
        for bits in (8, 16, 32, 64)
    },
    **{"f16": "tensor(float16)", "f32": "tensor(float)", "f64": "tensor(double)"},
}


def properties(config: ModelConfig, capabilities: Collection[str]) -> dict[str, Any]:
    """What OpenVINO is to be told; ``capabilities`` are the processor's, as it names them itself.

    Raises:
        ModelInvalid: the accelerator, or a parameter of it, is not supported.
    """
    unknown = set(config.cpu_accelerators) - {NAME}
    if unknown:
        raise ModelInvalid(f"CPU accelerators are not supported: {', '.join(sorted(unknown))}")
    parameters = config.cpu_accelerators[NAME]
    unknown = set(parameters) - {"precision"}
    if unknown:
        raise ModelInvalid(f"parameters of {NAME} are not supported: {', '.join(sorted(unknown))}")
    precision = parameters.get("precision", "BF16")
    if precision not in _PRECISIONS:
        raise ModelInvalid(f"precision {precision!r} of {NAME} is none of {', '.join(_PRECISIONS)}")
    halved = precision == "BF16" and "BF16" in capabilities
    told: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if halved else "f32",
        "NUM_STREAMS": 1,
        # Each instance is a process that knows nothing of the others: bound to a core, they would choose the same one.
        "ENABLE_CPU_PINNING": False,
    }
    threads = config.number("intra_op_thread_count", 0)
    return told | ({"INFERENCE_NUM_THREADS": threads} if threads else {})


class OpenVinoSession:
    """A graph compiled for the processor, once for all lengths of its free axes."""

    def __init__(self, config: ModelConfig, graph: Path) -> None:
        """Compile ``graph``.

        Raises:
            ModelInvalid: OpenVINO is not installed, or does not take the graph or what is asked of it.
        """
        try:
            import openvino
        except ImportError as error:
            raise ModelInvalid(
                f"the accelerator {NAME} is asked for, but is not at hand ({error}): install the extra "
                "`openvino` (in the project's folder: pip install '.[openvino]')"
            ) from error
        try:
            core = openvino.Core()
            capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        except Exception as error:  # OpenVINO's errors have no common root of their own
            raise ModelInvalid(f"{NAME} does not know this processor: {error}") from error
        told = properties(config, capabilities)
        try:
            compiled = core.compile_model(graph, "CPU", told)
        except Exception as error:  # OpenVINO's errors have no common root of their own
            raise ModelInvalid(f"{graph}: {error}") from error
        self.inputs = tuple(_port(port) for port in compiled.inputs)
        self.outputs = tuple(_port(port) for port in compiled.outputs)
        self._dtypes = {port.get_any_name(): port.get_element_type().to_dtype() for port in compiled.inputs}
        self._names = tuple(spec.name for spec in config.outputs)
        self._request = compiled.create_infer_request()

    def compute(self, feed: Tensors) -> Tensors:
        """See ``Session``. Inputs and outputs are copied: Triton's memory is not held until the next request."""
        for port in self.inputs:
            values = feed[port.name]
            # OpenVINO casts what is of another type, and does not look at lengths.
            if values.dtype != self._dtypes[port.name]:
                raise ExecutionFault(f"input {port.name} is of type {values.dtype}, not {port.onnx_type}")
            if port.lengths and not fits(port.lengths, values.shape):
                raise ExecutionFault(f"input {port.name} has shape {values.shape}, not {list(port.lengths)}")
        try:
            found = self._request.infer(feed)
        except Exception as error:  # OpenVINO's errors have no common root of their own
            raise ExecutionFault(str(error)) from error
        return {name: found[name] for name in self._names}


def _port(port: Any) -> Port:
    """OpenVINO's description of an input or output in the words of ``Port``."""
    shape = port.get_partial_shape()
    lengths = () if shape.rank.is_dynamic else tuple(-1 if one.is_dynamic else one.get_length() for one in shape)
    element = port.get_element_type().get_type_name()
    return Port(port.get_any_name(), _TYPES.get(element, element), lengths)
