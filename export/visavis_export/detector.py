"""What every `face_detector` does after its network: the best candidates, overlaps suppressed, a table of fixed size.

A family's graph scores all its cells, then asks for the `shortlist` and decodes only that. Its names for the rest:
`score_plane` [n, 1, k], `box_corner` and `box_size` [n, k, 2], `rows` [n, k, 14]: x, y, width, height and five points,
in pixels of the frame; and the constant `zero`.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from visavis_export.graph import Graph
from visavis_export.pack import DetectorRecipe

#: Side of the square frame, pixels; the most faces of a picture.
FRAME, MAX_FACES = 640, 32
STRIDES = (8, 16, 32)
#: So many cells are decoded, of YuNet's 8400 or of a scale of SCRFD's. Those that score too little never compete, and a
#: face lights about ten: the densest of our photographs has 24 faces and 207 such cells. Where more compete than this,
#: each of 32 faces still has sixteen; mosaics of up to 676 faces, 3800 cells, gave the same 32 as without a list.
SHORTLIST = 512
_FLOAT, _INT32 = TensorProto.FLOAT, TensorProto.INT32


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


def shortlist(graph: Graph, scores: str, recipe: DetectorRecipe, best: str, cells: str) -> None:
    """Of the plane ``scores`` [n, 1, c] the ``best``, falling, and their ``cells``: [n, 1, k] both.

    What scores too little for even the tallest face becomes 0 first: then TopK, which keeps a heap, turns nearly every
    cell away at its first comparison.
    """
    bare = graph.add("ThresholdedRelu", [scores], f"{best}_of", alpha=recipe.tall_score_threshold)
    graph.top(bare, graph.shared(np.array([SHORTLIST], np.int64)), best, cells)


def suppress_overlaps(graph: Graph, recipe: DetectorRecipe) -> None:
    """Overlap suppression on boxes cut to whole pixels, as OpenCV does it: `kept` [m, 3] of `score_plane`.

    Both coordinates of NonMaxSuppression's corners may change places, so x, y serve for its y, x.
    """
    corner = graph.add("Cast", [graph.add("Cast", ["box_corner"], "corner_whole", to=_INT32)], "near", to=_FLOAT)
    size = graph.add("Cast", [graph.add("Cast", ["box_size"], "size_whole", to=_INT32)], "whole_size", to=_FLOAT)
    boxes = graph.add("Concat", [corner, graph.add("Add", [corner, size], "far")], "corners", axis=2)
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
