"""Small embedders as a user may bring them, and a pack of the default detector around one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PACK = """
name = "ours"
title = "A small embedder of our own"
licence = "Apache-2.0"
licence_accepted = true

[detector]
family = "yunet"
weights = "yunet_2023mar"
score_threshold = 0.853
tall_from = 0.6
tall_score_threshold = 0.5
overlap_threshold = 0.3

[embedder]
family = "arcface"
file = "embedder.onnx"
mean = 127.5
deviation = 127.5
"""


def embedder(dimensions: int, *, gain: float = 1.0) -> bytes:
    """Eight random filters of 8x8 pixels, times ``gain``, and a random projection to that many numbers; batch 1."""
    random = np.random.default_rng(dimensions)
    values = {
        "filters": random.normal(0, 0.1 * gain, (8, 3, 8, 8)),
        "projection": random.normal(0, 0.05 / gain, (dimensions, 8 * 14 * 14)),
    }
    nodes = [
        helper.make_node("Conv", ["picture", "filters"], ["filtered"], strides=[8, 8], kernel_shape=[8, 8]),
        helper.make_node("Relu", ["filtered"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("Gemm", ["flat", "projection"], ["embedding"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, dimensions])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def write_pack(folder: Path, network: bytes) -> Path:
    """The pack's TOML file, beside that embedder."""
    (folder / "embedder.onnx").write_bytes(network)
    path = folder / "ours.toml"
    path.write_text(PACK, "utf-8")
    return path
