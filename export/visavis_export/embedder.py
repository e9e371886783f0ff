"""The graph `face_embedder`: uint8 aligned faces in, raw embeddings out.

SFace is one chain: convolution, batch normalisation, PRelu, twenty-seven times, then one large product. Whatever is
linear is folded into the weights beside it, so that convolutions, Relus and one Gemm remain.

onnxruntime's PRelu is slow on CPUs and breaks the blocked layout that its convolutions share. With slope a,
``prelu(x) = (1 - a) * (relu(x) + a / (1 - a) * x)``: the factor in front goes into the next weights, the one inside is
a depthwise 1x1 convolution, which stays in the blocked layout and takes the sum along. Slopes may be negative or above
1; nothing cancels, since the product dwarfs the Relu wherever a is near 1.

Relu and product read a map three times and write it twice. Where it is large and its convolution has few products, it
is quicker to convolve twice, once into the Relu and once with the inner factor in the weights: both are fused, and the
plain map is never written. That is a twenty-fifth of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto

from visavis_export.errors import NetworkUnexpected
from visavis_export.folding import Network, Wide, attributes, batch_norm
from visavis_export.graph import Graph
from visavis_export.pack import EmbedderRecipe

#: Side of an aligned face, pixels.
FACE = 112
#: A slope this near to 1 is moved so far away from it: a/(1-a) must stay finite, and 1e-6 is under float32's noise.
_NEAREST_TO_ONE = 2.0**-20
#: A convolution is worth doing twice with at most so many products for each value of a map of at least so many values
#: (1 MiB: there the map begins to leave a core's cache).
_FEW_PRODUCTS, _LARGE_MAP = 32, 2**18


@dataclass(frozen=True)
class _Activation:
    """One convolution with what follows it up to the next."""

    #: (out, in / groups, height, width), without the factors of the layer before.
    weights: Wide
    bias: Wide
    #: Strides, pads, groups, …
    settings: dict[str, Any]
    #: PRelu's, one for each channel.
    slopes: Wide

    def side_after(self, side: int) -> int:
        """The map's side for a square map of ``side`` before."""
        pads, strides = self.settings.get("pads", [0] * 4), self.settings.get("strides", [1, 1])
        return int((side + pads[0] + pads[2] - self.weights.shape[2]) // strides[0] + 1)


@dataclass(frozen=True)
class _Projection:
    """The tail: ``weights @ (scale * x + shift) + bias``, x flattened by channel."""

    weights: Wide
    bias: Wide
    scale: Wide
    shift: Wide


def build_embedder(network: Network, recipe: EmbedderRecipe) -> bytes:
    """The finished graph; tensors as docs/architecture.md names them.

    Raises:
        NetworkUnexpected: the network is not SFace, or its embedding has another length than the recipe says.
    """
    mean, factor, layers, projection = _read(network)
    dimensions = len(projection.bias)
    if recipe.dimensions not in {None, dimensions}:
        raise NetworkUnexpected(f"The embedding has {dimensions} values, the pack says {recipe.dimensions}.")
    graph = Graph()
    # Bytes are transposed before they become four times as large. The mean is subtracted before the first
    # convolution, not folded into it: its padding means the mean, not black.
    planes = graph.add("Transpose", ["image"], "image_planes", perm=[0, 3, 1, 2])
    numbers = graph.add("Cast", [planes], "pixels", to=TensorProto.FLOAT)
    tensor = graph.add("Sub", [numbers, graph.constant("mean", np.float32(mean))], "centred")
    pending = np.full(3, factor)
    side = FACE
    for number, layer in enumerate(layers):
        side = layer.side_after(side)
        twice = layer.weights[0].size <= _FEW_PRODUCTS and len(layer.bias) * side**2 >= _LARGE_MAP
        tensor, pending = _activated(graph, tensor, layer, pending, f"layer_{number}", twice=twice)
    _project(graph, tensor, projection, pending)
    return graph.model(
        "face_embedder",
        [("image", TensorProto.UINT8, ["n", FACE, FACE, 3])],
        [("embedding", TensorProto.FLOAT, ["n", dimensions])],
    )


def _read(network: Network) -> tuple[float, float, list[_Activation], _Projection]:
    """Mean and factor of the pixels, the layers, the tail.

    Raises:
        NetworkUnexpected: anything but SFace's chain.
    """
    chain = _chain(network)
    subtract, multiply = _take(chain, "Sub"), _take(chain, "Mul")
    layers: list[_Activation] = []
    node = next(chain)
    while node.op_type == "Conv":
        layers.append(_read_layer(network, node, _take(chain, "BatchNormalization"), _take(chain, "PRelu")))
        node = next(chain)
    if node.op_type != "BatchNormalization":
        raise NetworkUnexpected(f"SFace has no {node.op_type} node after its convolutions.")
    projection = _read_projection(network, batch_norm(network, node), chain)
    mean, factor = (float(network.weights(n.input[1]).item()) for n in (subtract, multiply))
    return mean, factor, layers, projection


def _chain(network: Network) -> Iterator[NodeProto]:
    """The nodes, each fed by the one before; Dropout does nothing when a network is used."""
    tensor = network.inputs[0].name
    for node in network.nodes:
        if node.input[0] != tensor:
            raise NetworkUnexpected(f"SFace is one chain, but its node {node.name!r} stands beside it.")
        tensor = node.output[0]
        if node.op_type != "Dropout":
            yield node


def _take(chain: Iterator[NodeProto], operator: str) -> NodeProto:
    node = next(chain, None)
    if node is None or node.op_type != operator:
        raise NetworkUnexpected(f"SFace has a {operator} where {node.op_type if node else 'the end'} was found.")
    return node


def _read_layer(network: Network, convolution: NodeProto, norm: NodeProto, prelu: NodeProto) -> _Activation:
    weights = network.weights(convolution.input[1])
    bias = network.weights(convolution.input[2]) if len(convolution.input) > 2 else np.zeros(len(weights))
    scale, shift = batch_norm(network, norm)
    slopes = network.weights(prelu.input[1]).reshape(-1)
    return _Activation(
        weights * scale[:, None, None, None],
        bias * scale + shift,
        attributes(convolution),
        np.broadcast_to(slopes, len(weights)),
    )


def _read_projection(network: Network, before: tuple[Wide, Wide], chain: Iterator[NodeProto]) -> _Projection:
    _take(chain, "Flatten")
    product, norm = _take(chain, "Gemm"), _take(chain, "BatchNormalization")
    settings = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | attributes(product)
    if settings != {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}:
        raise NetworkUnexpected("SFace's product is plain, with its weights transposed.")
    scale, shift = batch_norm(network, norm)
    weights, bias = (network.weights(name) for name in product.input[1:])
    return _Projection(weights * scale[:, None], bias * scale + shift, *before)


def _activated(
    graph: Graph, tensor: str, layer: _Activation, pending: Wide, name: str, *, twice: bool
) -> tuple[str, Wide]:
    """Convolution and PRelu without its outer factor; and that factor. Input channels are multiplied by ``pending``."""
    near = np.abs(1 - layer.slopes) < _NEAREST_TO_ONE
    slopes: Wide = np.where(near, 1 - _NEAREST_TO_ONE, layer.slopes)
    ratios = slopes / (1 - slopes)
    plain = _convolve(graph, tensor, layer, pending, f"{name}_conv")
    positive = graph.add("Relu", [plain], f"{name}_relu")
    if twice:
        weights, bias = layer.weights * ratios[:, None, None, None], layer.bias * ratios
        sloped = _convolve(graph, tensor, replace(layer, weights=weights, bias=bias), pending, f"{name}_sloped")
    else:
        factors = graph.constant(f"{name}_ratios", ratios.reshape(-1, 1, 1, 1))
        sloped = graph.add("Conv", [plain, factors], f"{name}_sloped", group=len(slopes), kernel_shape=[1, 1])
    return graph.add("Add", [positive, sloped], f"{name}_out"), 1 - slopes


def _convolve(graph: Graph, tensor: str, layer: _Activation, pending: Wide, name: str) -> str:
    """The convolution, its input channels multiplied by ``pending``."""
    depthwise = layer.weights.shape[1] == 1 and layer.settings.get("group", 1) == len(pending)
    factors = pending[:, None, None, None] if depthwise else pending[None, :, None, None]
    weights = graph.constant(f"{name}_weights", layer.weights * factors)
    bias = graph.constant(f"{name}_bias", layer.bias)
    return graph.add("Conv", [tensor, weights, bias], name, **layer.settings)


def _project(graph: Graph, tensor: str, tail: _Projection, pending: Wide) -> None:
    """The tail as one Gemm. Its bias is summed exactly: the graph's bytes may not depend on a CPU's order of adding."""
    places = tail.weights.shape[1] // len(pending)
    shift = np.repeat(tail.shift, places)
    bias = [math.fsum((row * shift).tolist()) + own for row, own in zip(tail.weights, tail.bias, strict=True)]
    weights = tail.weights * np.repeat(tail.scale * pending, places)
    flat = graph.add("Flatten", [tensor], "flat")
    inputs = [flat, graph.constant("projection_weights", weights), graph.constant("projection_bias", np.array(bias))]
    graph.add("Gemm", inputs, "embedding", transB=1)
