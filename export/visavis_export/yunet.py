"""The graph `face_detector` around YuNet.

Around its network stand what OpenCV's FaceDetectorYN does in code: channel order, decoding of boxes and landmarks, the
score. Two things are arranged otherwise than its authors wrote them, with the same products and sums, because they cost
a CPU a fifth of the whole: how the bytes come in (``_enter``) and how the twelve heads come out (``_add_heads``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto

from visavis_export.detector import FRAME, STRIDES, finished, lay_out, shortlist, suppress_overlaps
from visavis_export.errors import NetworkUnexpected
from visavis_export.folding import Network, Wide, attributes
from visavis_export.graph import Graph
from visavis_export.pack import DetectorRecipe

_TRUNK = frozenset({"Conv", "Relu", "MaxPool", "Resize", "Add"})
#: Each stride's heads and how many values they have for a cell: box, five points, and two factors of the score.
_HEADS = {"bbox": 4, "kps": 10, "cls": 1, "obj": 1}
#: All of them in one map, in the order that decoding wants: centre and five points, logarithms of width and height,
#: the score's factors.
_CHANNELS = [0, 1, *range(4, 14), 2, 3, 14, 15]
_PLACES, _DECODED, _ALL = 12, 14, 16


@dataclass(frozen=True, slots=True)
class _Heads:
    """One stride's four heads as one: a 1x1 convolution to sixteen channels, then 3x3 on each by itself."""

    features: str
    #: Weights and biases.
    pointwise: tuple[Wide, Wide]
    depthwise: tuple[Wide, Wide]
    #: Outputs of the nodes that this replaces.
    replaced: frozenset[str]


def build_yunet(network: Network, recipe: DetectorRecipe) -> bytes:
    """The finished graph; tensors as docs/architecture.md names them.

    Raises:
        NetworkUnexpected: the network is not YuNet.
    """
    graph = Graph()
    graph.constant("zero", np.float32(0))
    heads = [_read_heads(network, stride) for stride in STRIDES]
    _trunk(graph, network, frozenset[str]().union(*(head.replaced for head in heads)))
    _add_heads(graph, heads)
    shortlist(graph, "all_scores", recipe, "score_plane", "cells")
    _decode(graph)
    suppress_overlaps(graph, recipe)
    lay_out(graph)
    return finished(graph)


def _read_heads(network: Network, stride: int) -> _Heads:
    """The four heads of a stride, found by the names of the network's outputs."""
    chains = [_chain(network, f"{name}_{stride}", values) for name, values in _HEADS.items()]
    pointwise, depthwise = ([chain[place] for chain in chains] for place in (-1, -2))
    features = {node.input[0] for node in pointwise}
    if len(features) != 1:
        raise NetworkUnexpected("YuNet's four heads of a stride look at the same features.")
    names = frozenset(node.output[0] for chain in chains for node in chain)
    return _Heads(features.pop(), _joined(network, pointwise, (1, 1)), _joined(network, depthwise, (3, 3)), names)


def _chain(network: Network, output: str, values: int) -> list[NodeProto]:
    """The nodes that lead to an output, the last first."""
    makers = {node.output[0]: node for node in network.nodes}
    arranged = ["Reshape", "Transpose", "Conv", "Conv"]
    chain: list[NodeProto] = []
    for kind in ["Sigmoid", *arranged] if values == 1 else arranged:
        node = makers.get(chain[-1].input[0] if chain else output)
        if node is None or node.op_type != kind:
            raise NetworkUnexpected(f"YuNet's head {output} has no {kind} where it should.")
        chain.append(node)
    return chain


def _joined(network: Network, convolutions: list[NodeProto], kernel: tuple[int, int]) -> tuple[Wide, Wide]:
    """Weights and biases of a stride's four convolutions as those of one, in the order of ``_CHANNELS``."""
    parts = [_weights_of(network, node) for node in convolutions]
    inward = parts[0][0].shape[1]
    for (weights, _), values in zip(parts, _HEADS.values(), strict=True):
        if weights.shape != (values, inward, *kernel):
            raise NetworkUnexpected("YuNet's heads are a 1x1 and a depthwise 3x3 convolution, with sixteen values.")
    weights, bias = (np.concatenate(arrays)[_CHANNELS] for arrays in zip(*parts, strict=True))
    return weights, bias


def _weights_of(network: Network, convolution: NodeProto) -> tuple[Wide, Wide]:
    """A convolution's weights and bias."""
    if convolution.op_type != "Conv" or len(convolution.input) != 3:
        raise NetworkUnexpected("YuNet begins and ends with convolutions that have a bias.")
    weights, bias = (network.weights(name) for name in convolution.input[1:])
    if weights.ndim != 4 or bias.shape != weights.shape[:1]:
        raise NetworkUnexpected("YuNet's convolutions are of pictures.")
    return weights, bias


def _trunk(graph: Graph, network: Network, replaced: frozenset[str]) -> None:
    """YuNet's own nodes up to its heads."""
    if len(network.inputs) != 1:
        raise NetworkUnexpected("YuNet has one input.")
    entrance = network.inputs[0].name
    used: set[str] = set()
    for node in network.nodes:
        if node.output[0] in replaced:
            continue
        if node.op_type not in _TRUNK:
            raise NetworkUnexpected(f"YuNet has no {node.op_type} node.")
        if entrance in node.input:
            _enter(graph, network, node)
            continue
        for name in node.input:
            if name in network.constants and name not in used:
                used.add(graph.constant(name, network.constants[name]))
        graph.add(node.op_type, node.input, node.output[0], **attributes(node))


def _enter(graph: Graph, network: Network, node: NodeProto) -> None:
    """Bytes through the first convolution, turned from BGR to RGB.

    A row of the frame is 1920 bytes, RGB by RGB. To a convolution it may be one channel, three times as wide: its
    kernel, steps and padding are then three times as wide too, and nothing has to be transposed. It has the same
    products; to a GPU it is as ordinary a convolution as the other.
    """
    settings: dict[str, Any] = {"pads": [0, 0, 0, 0], "strides": [1, 1]} | attributes(node)
    weights, bias = _weights_of(network, node)
    channels, colours, height, width = weights.shape
    if colours != 3 or settings.get("dilations", [1, 1]) != [1, 1]:
        raise NetworkUnexpected("YuNet begins with a plain convolution of three channels.")
    shape = graph.constant("wide_shape", np.array([0, 1, FRAME, 3 * FRAME], np.int64))
    wide = graph.add("Cast", [graph.add("Reshape", ["image", shape], "image_wide")], "pixels", to=TensorProto.FLOAT)
    kernel = weights[:, ::-1].transpose(0, 2, 3, 1).reshape(channels, 1, height, 3 * width)
    inputs = [wide, graph.constant("first_weights", kernel), graph.constant("first_bias", bias)]
    strides, pads = _widened(settings["strides"]), _widened(settings["pads"])
    graph.add("Conv", inputs, node.output[0], kernel_shape=[height, 3 * width], strides=strides, pads=pads)


def _widened(values: list[int]) -> list[int]:
    """Steps or padding in (row, column) order, the columns' three times as large."""
    return [value * (3 if place % 2 else 1) for place, value in enumerate(values)]


def _add_heads(graph: Graph, heads: list[_Heads]) -> None:
    """`heads` [n, 16, cells] and `all_scores` [n, 1, cells].

    Twelve heads of 1 to 10 channels are three of 16, which is what onnxruntime's blocked convolutions work on at a
    time: one of 16 takes as long as one of 1.
    """
    maps = []
    for stride, head in zip(STRIDES, heads, strict=True):
        tensor = head.features
        for name, (weights, bias), settings in (
            ("pointwise", head.pointwise, {"kernel_shape": [1, 1]}),
            ("depthwise", head.depthwise, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "group": _ALL}),
        ):
            label = f"{name}_{stride}"
            inputs = [tensor, graph.constant(f"{label}_weights", weights), graph.constant(f"{label}_bias", bias)]
            tensor = graph.add("Conv", inputs, label, **settings)
        flat = graph.shared(np.array([0, _ALL, -1], np.int64))
        maps.append(graph.add("Reshape", [tensor, flat], f"heads_{stride}"))
    graph.add("Concat", maps, "heads", axis=2)
    factors = [_factor(graph, name, channel) for name, channel in (("class", _DECODED), ("object", _DECODED + 1))]
    graph.add("Sqrt", [graph.add("Mul", factors, "scores_squared")], "all_scores")


def _factor(graph: Graph, name: str, channel: int) -> str:
    """One channel, brought to 0…1."""
    cut = [graph.shared(np.array([value], np.int64)) for value in (channel, channel + 1, 1)]
    return graph.add("Sigmoid", [graph.add("Slice", ["heads", *cut], f"{name}_logit")], name)


def _decode(graph: Graph) -> None:
    """The shortlist's `box_corner`, `box_size` and `rows`, as detector.py asks for them."""
    # All planes, the two of the scores too: OpenVINO and TensorRT gather only where the other axes are equally long.
    everywhere = graph.constant("heads_shape", np.array([1, _ALL, 1], np.int64))
    each = graph.add("Expand", ["cells", everywhere], "cells_each")
    planes = graph.add("GatherElements", ["heads", each], "listed_planes", axis=2)
    parts = ["offsets", "log_size", "logits"]
    graph.split(graph.add("Transpose", [planes], "values", perm=[0, 2, 1]), parts, [_PLACES, 2, _ALL - _DECODED])
    listed = graph.add("Squeeze", ["cells", graph.shared(np.array([1], np.int64))], "cells_listed")
    graph.split(
        graph.add("Gather", [graph.constant("grid", _cells()), listed], "at"), ["origin", "stride"], [_PLACES, 1]
    )
    graph.add("Mul", [graph.add("Add", ["offsets", "origin"], "places_in_cells"), "stride"], "places")
    graph.split("places", ["box_centre", "points"], [2, _PLACES - 2])
    size = graph.add("Mul", [graph.add("Exp", ["log_size"], "box_ratio"), "stride"], "box_size")
    half = graph.add("Mul", [size, graph.constant("half", np.float32(0.5))], "box_half")
    graph.add("Sub", ["box_centre", half], "box_corner")
    graph.add("Concat", ["box_corner", "box_size", "points"], "rows", axis=2)


def _cells() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Column and row of every cell, six times over, and its side in pixels: float32 [cells, 13]."""
    cells = []
    for stride in STRIDES:
        across = FRAME // stride
        row, column = np.divmod(np.arange(across * across), across)
        cells.append(np.stack([*[column, row] * (_PLACES // 2), np.full_like(row, stride)], axis=1))
    return np.concatenate(cells, dtype=np.float32, casting="unsafe")
