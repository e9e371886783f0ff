"""From a file of weights to plain float32 arrays and the nodes that use them.

Block quantisation keeps int8 weights with one scale and zero point for each ``block_size`` neighbours along an axis,
behind DequantizeLinear nodes of opset 21, which few runtimes take. It is undone here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from visavis_export.errors import NetworkUnexpected
from visavis_export.graph import IR_VERSION, OPSET

Array = npt.NDArray[Any]
#: Exact enough that only the last rounding, to float32, is seen.
Wide = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """A network as its authors wrote it, weights in float32."""

    nodes: tuple[onnx.NodeProto, ...]
    constants: dict[str, Array]
    inputs: tuple[onnx.ValueInfoProto, ...]
    outputs: tuple[onnx.ValueInfoProto, ...]

    def weights(self, name: str) -> Wide:
        """A constant, in float64 for folding.

        Raises:
            NetworkUnexpected: there is none of that name.
        """
        try:
            return self.constants[name].astype(np.float64)
        except KeyError as error:
            raise NetworkUnexpected(f"The network has no constant {name!r}.") from error

    def serialised(self) -> bytes:
        """The original again as a file, dequantised but otherwise unchanged, for OpenCV to run."""
        used = {name for node in self.nodes for name in node.input}
        initializers = [numpy_helper.from_array(v, k) for k, v in self.constants.items() if k in used]
        graph = helper.make_graph(self.nodes, "original", self.inputs, self.outputs, initializers)
        opsets = [helper.make_opsetid("", OPSET)]
        data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
        return data


def read_network(data: bytes) -> Network:
    """Parse an ONNX file and undo its block quantisation; weights listed as graph inputs are inputs no longer.

    The bytes are trusted: their digest was checked when they were fetched.
    """
    model = onnx.load_from_string(data)
    constants: dict[str, Array] = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type in {"DequantizeLinear", "Reshape"} and all(name in constants for name in node.input):
            constants[node.output[0]] = _evaluate(node, constants)
        elif node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    inputs = tuple(i for i in model.graph.input if i.name in used and i.name not in constants)
    return Network(tuple(nodes), constants, inputs, tuple(model.graph.output))


def dequantise(quantised: Array, scales: Array, zero_points: Array, *, axis: int, block_size: int) -> Array:
    """Float32 ``(quantised - zero point) * scale``, both repeated ``block_size`` times along ``axis``.

    The last block may be cut short. A block size of 0 means one scale for each place along the axis.
    """
    if block_size:
        here = [slice(None)] * quantised.ndim
        here[axis] = slice(quantised.shape[axis])
        scales = np.repeat(scales, block_size, axis)[tuple(here)]
        zero_points = np.repeat(zero_points, block_size, axis)[tuple(here)]
    elif scales.ndim == 1:
        column = [1] * quantised.ndim
        column[axis] = -1
        scales, zero_points = scales.reshape(column), zero_points.reshape(column)
    # In integers first: int8 minus int8 would wrap.
    return (quantised.astype(np.int32) - zero_points.astype(np.int32)).astype(np.float32) * scales.astype(np.float32)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def batch_norm(network: Network, node: onnx.NodeProto) -> tuple[Wide, Wide]:
    """A BatchNormalization as ``scale * x + shift``, one of each for every channel."""
    gamma, beta, mean, variance = (network.weights(name) for name in node.input[1:])
    scale = gamma / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
    return scale, beta - mean * scale


def _evaluate(node: onnx.NodeProto, constants: dict[str, Array]) -> Array:
    values = [constants[name] for name in node.input]
    if node.op_type == "Reshape":
        return values[0].reshape(values[1])
    settings = attributes(node)
    zero_points = values[2] if len(values) > 2 else np.zeros_like(values[1], np.int8)
    return dequantise(
        values[0], values[1], zero_points, axis=settings.get("axis", 1), block_size=settings.get("block_size", 0)
    )
