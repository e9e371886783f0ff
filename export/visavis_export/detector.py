"""The graph `face_detector`: uint8 letterboxes in, the best faces of each out.

Around YuNet's network stand what OpenCV's FaceDetectorYN does in code: channel order, decoding of boxes and landmarks,
the score, the suppression of overlaps. Then the survivors, as many as there are, are laid into a table of fixed size.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto

from visavis_export.errors import NetworkUnexpected
from visavis_export.folding import Network, attributes
from visavis_export.graph import Graph
from visavis_export.pack import DetectorRecipe

#: Side of the square frame, pixels; the most faces of a picture.
FRAME, MAX_FACES = 640, 32
STRIDES = (8, 16, 32)
CELLS = sum((FRAME // stride) ** 2 for stride in STRIDES)
_OPERATORS = frozenset({"Conv", "Relu", "MaxPool", "Resize", "Add", "Transpose", "Reshape", "Sigmoid"})
_FLOAT, _INT32 = TensorProto.FLOAT, TensorProto.INT32


def build_detector(network: Network, recipe: DetectorRecipe) -> bytes:
    """The finished graph; tensors as docs/architecture.md names them.

    Raises:
        NetworkUnexpected: the network is not YuNet.
    """
    graph = Graph()
    _input(graph, network)
    _trunk(graph, network)
    _decode(graph)
    suppress_overlaps(graph, recipe)
    lay_out(graph)
    return finished(graph)


def finished(graph: Graph) -> bytes:
    """The file, once ``lay_out`` has made its outputs."""
    return graph.model(
        "face_detector",
        [("image", TensorProto.UINT8, ["n", FRAME, FRAME, 3])],
        [
            ("boxes", _FLOAT, ["n", MAX_FACES, 4]),
            ("landmarks", _FLOAT, ["n", MAX_FACES, 5, 2]),
            ("detection_scores", _FLOAT, ["n", MAX_FACES]),
            ("face_count", _INT32, ["n", 1]),
        ],
    )


def _input(graph: Graph, network: Network) -> None:
    """Bytes to the network's input. They are transposed before they become four times as large."""
    if len(network.inputs) != 1:
        raise NetworkUnexpected("YuNet has one input.")
    planes = graph.add("Transpose", ["image"], "image_planes", perm=[0, 3, 1, 2])
    graph.add("Cast", [planes], network.inputs[0].name, to=_FLOAT)


def _trunk(graph: Graph, network: Network) -> None:
    """YuNet's own nodes, with its batch axis set free and its first convolution turned from BGR to RGB."""
    entrance = network.inputs[0].name
    used: set[str] = set()
    for node in network.nodes:
        if node.op_type not in _OPERATORS:
            raise NetworkUnexpected(f"YuNet has no {node.op_type} node.")
        inputs = list(node.input)
        if node.op_type == "Reshape":
            inputs[1] = graph.constant(f"{node.output[0]}_shape", _free_batch(network, node))
        if entrance in inputs:
            inputs[1] = graph.constant("first_weights_rgb", network.constants[inputs[1]][:, ::-1])
        for name in inputs:
            if name in network.constants and name not in used:
                used.add(graph.constant(name, network.constants[name]))
        graph.add(node.op_type, inputs, node.output[0], **attributes(node))


def _free_batch(network: Network, node: NodeProto) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[1, cells, values] as [0, cells, values]: 0 copies the input's own batch."""
    batch, cells, values = network.constants[node.input[1]]
    if batch != 1:
        raise NetworkUnexpected("YuNet reshapes its heads to a batch of 1.")
    return np.array([0, cells, values], np.int64)


def _decode(graph: Graph) -> None:
    """Heads to `scores` [n, cells, 1] and `rows` [n, cells, 14]: x, y, width, height and five points, in pixels."""
    for head in ("cls", "obj", "bbox", "kps"):
        graph.add("Concat", [f"{head}_{stride}" for stride in STRIDES], head, axis=1)
    low, high = graph.constant("zero", np.float32(0)), graph.constant("one", np.float32(1))
    for head in ("cls", "obj"):
        graph.add("Clip", [head, low, high], f"{head}_clipped")
    graph.add("Sqrt", [graph.add("Mul", ["cls_clipped", "obj_clipped"], "scores_squared")], "scores")

    grid, stride = _cells()
    graph.constant("grid", grid)
    graph.constant("grid_points", np.tile(grid, 5))
    graph.constant("stride", stride)
    graph.split("bbox", ["box_offset", "box_log_size"], [2, 2])
    centre = graph.add("Mul", [graph.add("Add", ["box_offset", "grid"], "box_cell"), "stride"], "box_centre")
    size = graph.add("Mul", [graph.add("Exp", ["box_log_size"], "box_ratio"), "stride"], "box_size")
    half = graph.add("Mul", [size, graph.constant("half", np.float32(0.5))], "box_half")
    graph.add("Sub", [centre, half], "box_corner")
    graph.add("Mul", [graph.add("Add", ["kps", "grid_points"], "points_cell"), "stride"], "points")
    graph.add("Concat", ["box_corner", "box_size", "points"], "rows", axis=2)


def _cells() -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.float32]]
]:
    """Column and row of every cell, and its side in pixels: float32 [1, cells, 2] and [1, cells, 1]."""
    grids, sides = [], []
    for stride in STRIDES:
        across = FRAME // stride
        row, column = np.divmod(np.arange(across * across), across)
        grids.append(np.stack([column, row], axis=1))
        sides.append(np.full((across * across, 1), stride))
    return np.concatenate(grids)[None].astype(np.float32), np.concatenate(sides)[None].astype(np.float32)


def suppress_overlaps(graph: Graph, recipe: DetectorRecipe) -> None:
    """Overlap suppression on boxes cut to whole pixels, as OpenCV does it: `kept` [m, 3] of `score_plane`.

    Both coordinates of NonMaxSuppression's corners may change places, so x, y serve for its y, x.
    """
    corner = graph.add("Cast", [graph.add("Cast", ["box_corner"], "corner_whole", to=_INT32)], "near", to=_FLOAT)
    size = graph.add("Cast", [graph.add("Cast", ["box_size"], "size_whole", to=_INT32)], "whole_size", to=_FLOAT)
    boxes = graph.add("Concat", [corner, graph.add("Add", [corner, size], "far")], "corners", axis=2)
    graph.add("Transpose", ["scores"], "score_plane", perm=[0, 2, 1])
    plane = _demand(graph, recipe)
    most = graph.constant("max_faces", np.array([MAX_FACES], np.int64))
    overlap = graph.constant("overlap_threshold", np.array([recipe.overlap_threshold], np.float32))
    score = graph.constant("tall_score_threshold", np.array([recipe.tall_score_threshold], np.float32))
    graph.add("NonMaxSuppression", [boxes, plane, most, overlap, score], "kept")


def _demand(graph: Graph, recipe: DetectorRecipe) -> str:
    """The plane of scores with zeros where a candidate scores less than its height demands."""
    fall = np.float32(recipe.score_fall / FRAME)
    start = np.float32(recipe.score_threshold + recipe.score_fall * recipe.tall_from)
    graph.split("box_size", ["box_width", "box_height"], [1, 1])
    sunk = graph.add("Mul", ["box_height", graph.constant("score_fall", fall)], "score_sunk")
    ramp = graph.add("Sub", [graph.constant("score_start", start), sunk], "score_ramp")
    limits = [("score_least", recipe.tall_score_threshold), ("score_most", recipe.score_threshold)]
    least, most = (graph.constant(name, np.float32(value)) for name, value in limits)
    demand = graph.add("Transpose", [graph.add("Clip", [ramp, least, most], "demand")], "demand_plane", perm=[0, 2, 1])
    good = graph.add("Greater", ["score_plane", demand], "is_candidate")
    return graph.add("Where", [good, "score_plane", "zero"], "candidate_plane")


def lay_out(graph: Graph) -> None:
    """Survivors to rows ordered by score; zeros past the last.

    Their scores go back to their cells in an empty plane, whose 32 best are taken. That needs no order among the
    survivors, and no loop over the batch.
    """
    empty = graph.add("Mul", ["score_plane", "zero"], "empty_plane")
    survivors = graph.add("GatherND", ["score_plane", "kept"], "kept_scores")
    plane = graph.add("ScatterND", [empty, "kept", survivors], "kept_plane")
    graph.top(plane, graph.constant("most", np.array([MAX_FACES], np.int64)), "best_scores", "best_cells")
    graph.constant("axis_one", np.array([1], np.int64))
    graph.constant("axis_last", np.array([2], np.int64))
    scores = graph.add("Squeeze", ["best_scores", "axis_one"], "detection_scores")
    real = graph.add("Greater", [scores, "zero"], "is_face")
    graph.add(
        "ReduceSum", [graph.add("Cast", [real], "is_face_number", to=_INT32), "axis_one"], "face_count", keepdims=1
    )

    cells = graph.add("Transpose", ["best_cells"], "best_cells_column", perm=[0, 2, 1])
    best = graph.add("GatherND", ["rows", cells], "best_rows", batch_dims=1)
    keep = graph.add("Unsqueeze", [real, "axis_last"], "is_face_column")
    graph.add("Where", [keep, best, "zero"], "faces")
    graph.split("faces", ["boxes", "faces_points"], [4, 10])
    shape = graph.constant("landmarks_shape", np.array([0, MAX_FACES, 5, 2], np.int64))
    graph.add("Reshape", ["faces_points", shape], "landmarks")
