"""A model repository of a tiny graph, for tests of the launcher that need no face models."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

CONFIG = """
name: "doubler"
backend: "onnxruntime"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
dynamic_batching { max_queue_delay_microseconds: 20000 }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""


def save_doubler(path: Path, *, batch: str | int = "n") -> Path:
    """y = x + x over float32 [batch, 4]."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubler",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def make_repository(root: Path) -> Path:
    """One model, ``doubler``, for the CPU."""
    save_doubler(root / "doubler" / "1" / "model.onnx")
    (root / "doubler" / "config.pbtxt").write_text(CONFIG)
    return root
