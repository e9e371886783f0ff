"""The graph `face_detector` around a SCRFD network that somebody else exported.

SCRFD misses faces that fill the picture: no anchor is as large as they are. So its trunk stands here twice, once for
the frame and once for the frame at half its size, where only large faces are asked for. The candidates of both meet
before overlaps are suppressed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visavis_export.detector import FRAME, STRIDES, finished, lay_out, shortlist, suppress_overlaps
from visavis_export.errors import NetworkUnexpected
from visavis_export.freeing import FreeNetwork, enter, free, graft
from visavis_export.graph import Graph
from visavis_export.pack import DetectorRecipe

#: How much smaller the second scale is.
REDUCTION = 2
#: Values for each anchor: its score, distances to left, top, right, bottom, and five points.
_VALUES = (1, 4, 10)
#: Operators that only arrange a head's values, or bring its scores to 0…1.
_ARRANGING = frozenset({"Reshape", "Transpose", "Squeeze", "Sigmoid"})


@dataclass(frozen=True, slots=True)
class Head:
    """One output, followed back to the map [n, anchors * values, height, width] that it is arranged from."""

    map: str
    stride: int
    anchors: int
    values: int
    #: Whether the network brings the values to 0…1 afterwards.
    squashed: bool


def build_scrfd(data: bytes, recipe: DetectorRecipe) -> bytes:
    """The finished graph; tensors as docs/architecture.md names them.

    Raises:
        NetworkUnexpected: the network is not a SCRFD with landmarks.
    """
    graph = Graph()
    graph.constant("zero", np.float32(0))
    whole, small = free(data, FRAME), free(data, FRAME // REDUCTION)
    pixels = enter(graph, whole, recipe)
    window = [REDUCTION, REDUCTION]
    reduced = graph.add("AveragePool", [pixels], "pixels_reduced", kernel_shape=window, strides=window)
    for network, entrance, name, reduction in ((whole, pixels, "whole", 1), (small, reduced, "small", REDUCTION)):
        found = _values(graph, network, entrance, name, FRAME // reduction)
        shortlist(graph, f"{name}_plane", recipe, f"{name}_best", f"{name}_cells")
        _decode(graph, found, name, reduction)
    _only_large(graph, recipe)
    graph.add("Concat", ["whole_best", "small_scores"], "score_plane", axis=2)
    for part in ("box_corner", "box_size", "points"):
        graph.add("Concat", [f"whole_{part}", f"small_{part}"], part, axis=1)
    graph.add("Concat", ["box_corner", "box_size", "points"], "rows", axis=2)
    suppress_overlaps(graph, recipe)
    lay_out(graph)
    return finished(graph)


def heads(network: FreeNetwork, side: int) -> list[Head]:
    """The nine outputs by what they are, whatever their names and order.

    Raises:
        NetworkUnexpected: a score, a box and five points for three strides are not to be found.
    """
    found = [_head(network, output, side) for output in network.outputs]
    expected = {(stride, values) for stride in STRIDES for values in _VALUES}
    if len(found) != len(expected) or {(head.stride, head.values) for head in found} != expected:
        raise NetworkUnexpected("SCRFD has nine outputs: scores, boxes and five landmarks for strides 8, 16 and 32.")
    return found


def _head(network: FreeNetwork, output: str, side: int) -> Head:
    tensor, squashed = output, False
    values = network.shapes.get(output, (0,))[-1]
    while (node := network.maker(tensor)) is not None and node.op_type in _ARRANGING:
        squashed |= node.op_type == "Sigmoid"
        tensor = node.input[0]
    shape = network.shapes.get(tensor, ())
    if node is None or len(shape) != 4 or values not in _VALUES or shape[1] % values or shape[2] != shape[3]:
        raise NetworkUnexpected(f"The output {output!r} is none of SCRFD's.")
    return Head(tensor, side // shape[2], shape[1] // values, values, squashed)


def _values(graph: Graph, network: FreeNetwork, entrance: str, name: str, side: int) -> list[tuple[int, int]]:
    """One scale's raw values: `<name>_plane` [n, 1, c], the scores; `<name>_values_4` and `_10` [n, c, …].

    Returns the strides that follow one another among the c anchors, and how many anchors each of their cells has.
    """
    found = sorted(heads(network, side), key=lambda head: (head.values, head.stride))
    maps = graft(graph, network, entrance, tuple(head.map for head in found), name)
    for values in _VALUES:
        parts = [_arranged(graph, head, maps[head.map], name) for head in found if head.values == values]
        graph.add("Concat", parts, f"{name}_values_{values}", axis=1)
    graph.add("Reshape", [f"{name}_values_1", graph.shared(np.array([0, 1, -1], np.int64))], f"{name}_plane")
    return [(head.stride, head.anchors) for head in found if head.values == 1]


def _decode(graph: Graph, strides: list[tuple[int, int]], name: str, reduction: int) -> None:
    """A scale's shortlist, in the frame's pixels: `<name>_box_corner`, `_box_size` [n, k, 2], `_points` [n, k, 10]."""
    column = graph.add("Transpose", [f"{name}_cells"], f"{name}_cells_column", perm=[0, 2, 1])
    boxes, points = (
        graph.add("GatherND", [f"{name}_values_{values}", column], f"{name}_raw_{values}", batch_dims=1)
        for values in _VALUES[1:]
    )
    anchors = graph.constant(f"{name}_anchors", _anchors(strides, FRAME // reduction) * reduction)
    listed = graph.add("Squeeze", [f"{name}_cells", graph.shared(np.array([1], np.int64))], f"{name}_cells_listed")
    at = graph.add("Gather", [anchors, listed], f"{name}_at")
    graph.split(at, [f"{name}_centre", f"{name}_point_centres", f"{name}_unit"], [2, 10, 1])
    distances = graph.add("Mul", [boxes, f"{name}_unit"], f"{name}_distances")
    graph.split(distances, [f"{name}_near", f"{name}_far"], [2, 2])
    graph.add("Sub", [f"{name}_centre", f"{name}_near"], f"{name}_box_corner")
    graph.add("Add", [f"{name}_near", f"{name}_far"], f"{name}_box_size")
    offsets = graph.add("Mul", [points, f"{name}_unit"], f"{name}_point_offsets")
    graph.add("Add", [offsets, f"{name}_point_centres"], f"{name}_points")


def _arranged(graph: Graph, head: Head, tensor: str, name: str) -> str:
    """[n, anchors * values, height, width] as [n, height * width * anchors, values]."""
    label = f"{name}_{head.values}_{head.stride}"
    last = graph.add("Transpose", [tensor], f"{label}_last", perm=[0, 2, 3, 1])
    shape = graph.shared(np.array([0, -1, head.values], np.int64))
    listed = graph.add("Reshape", [last, shape], f"{label}_listed")
    return graph.add("Sigmoid", [listed], f"{label}_squashed") if head.squashed else listed


def _anchors(strides: list[tuple[int, int]], side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Place of every anchor, six times over, and its stride, pixels: float32 [c, 13]."""
    anchors = []
    for stride, each in strides:
        across = side // stride
        row, column = np.divmod(np.repeat(np.arange(across * across), each), across)
        anchors.append(np.stack([*[column, row] * 6, np.ones_like(row)], axis=1) * stride)
    return np.concatenate(anchors, dtype=np.float32, casting="unsafe")


def _only_large(graph: Graph, recipe: DetectorRecipe) -> None:
    """Scores of the small scale become 0 where a face is so small that the whole frame shows it better."""
    limit = graph.constant("close_up_height", np.float32(recipe.close_up_from * FRAME))
    graph.split("small_box_size", ["small_width", "small_height"], [1, 1])
    heights = graph.add("Transpose", ["small_height"], "small_height_plane", perm=[0, 2, 1])
    large = graph.add("Greater", [heights, limit], "small_is_large")
    graph.add("Where", [large, "small_best", "zero"], "small_scores")
