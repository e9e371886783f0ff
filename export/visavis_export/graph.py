"""Writing an ONNX graph by hand: a thin notebook of nodes and constants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import checker, helper, numpy_helper, shape_inference

from visavis_export.errors import NetworkUnexpected

#: Low enough for onnxruntime 1.18 (the oldest backend served) and for OpenCV; nothing here needs more.
OPSET, IR_VERSION = 17, 8

Tensor = tuple[str, int, Sequence[int | str]]


class Graph:
    """Nodes in the order they run, and named constants.

    Everything that ends in the file is stated here, the producer's name and versions too: another release of onnx
    must not change its bytes, since the embedder's digest is the identity of every template.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, npt.NDArray[Any]] = {}

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node with one output; returns the output's name."""
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def split(self, data: str, outputs: Sequence[str], sizes: Sequence[int]) -> None:
        """Cut a tensor along its last axis."""
        cuts = self.constant(f"{data}_sizes", np.array(sizes, np.int64))
        self._nodes.append(helper.make_node("Split", [data, cuts], list(outputs), name=f"{data}_split", axis=-1))

    def top(self, data: str, count: str, values: str, places: str) -> None:
        """The largest values along the last axis and where they stood; among equals the first comes first."""
        self._nodes.append(helper.make_node("TopK", [data, count], [values, places], name=f"{data}_top", axis=-1))

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        """Keep an array; float64 becomes float32. A name stands for one array only."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if name in self._constants:
            raise ValueError(f"two constants called {name}")
        self._constants[name] = np.ascontiguousarray(array) if array.ndim else array
        return name

    def shared(self, value: npt.NDArray[Any]) -> str:
        """Keep an array under the name of its content, once however often it is asked for."""
        content = hashlib.sha256(f"{value.dtype} {value.shape} ".encode() + value.tobytes()).hexdigest()
        name = f"constant_{content[:24]}"
        return name if name in self._constants else self.constant(name, value)

    def model(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bytes:
        """The finished file, checked in full.

        Raises:
            NetworkUnexpected: the graph is not sound, or its shapes are not the declared ones.
        """
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(*tensor) for tensor in inputs],
            [helper.make_tensor_value_info(*tensor) for tensor in outputs],
            [numpy_helper.from_array(array, key) for key, array in self._constants.items()],
        )
        model = helper.make_model(
            graph,
            producer_name="visavis",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        try:
            shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
            checker.check_model(model, full_check=True)
        except (shape_inference.InferenceError, checker.ValidationError) as error:
            raise NetworkUnexpected(f"The {name} graph is not sound: {error}.") from error
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised


def last_length(model: bytes) -> int:
    """Length of the last axis of a graph's first output."""
    (dim,) = onnx.load_from_string(model).graph.output[0].type.tensor_type.shape.dim[-1:]
    return int(dim.dim_value)
