"""The graph `face_embedder` around an embedder that somebody else exported: ArcFace and what was trained like it."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from visavis_export.embedder import FACE
from visavis_export.errors import NetworkUnexpected
from visavis_export.freeing import FreeNetwork, enter, free, graft
from visavis_export.graph import Graph
from visavis_export.pack import EmbedderRecipe


def build_arcface(data: bytes, recipe: EmbedderRecipe) -> bytes:
    """The finished graph; tensors as docs/architecture.md names them.

    Raises:
        NetworkUnexpected: the network does not make one embedding of a face of 112 x 112 pixels, or one of another
            length than the recipe says.
    """
    network = free(data, FACE)
    dimensions = _dimensions(network)
    if recipe.dimensions not in {None, dimensions}:
        raise NetworkUnexpected(f"The embedding has {dimensions} values, the pack says {recipe.dimensions}.")
    graph = Graph()
    pixels = enter(graph, network, recipe)
    (end,) = network.outputs
    found = graft(graph, network, pixels, (end,), "network")[end]
    # [n, d, 1, 1] is as good as [n, d].
    graph.add("Reshape", [found, graph.constant("embedding_shape", np.array([0, dimensions], np.int64))], "embedding")
    return graph.model(
        "face_embedder",
        [("image", TensorProto.UINT8, ["n", FACE, FACE, 3])],
        [("embedding", TensorProto.FLOAT, ["n", dimensions])],
    )


def _dimensions(network: FreeNetwork) -> int:
    shapes = [network.shapes.get(output, ()) for output in network.outputs]
    if len(shapes) != 1 or len(shapes[0]) < 2 or shapes[0][0] != 1 or int(np.prod(shapes[0][2:])) != 1:
        raise NetworkUnexpected("An embedder has one output: one row of numbers for each face.")
    return shapes[0][1]
