"""Block quantisation and batch normalisation are undone by arithmetic that others do the same way."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from visavis_export.folding import batch_norm, dequantise, read_network


def test_int8_differences_do_not_wrap() -> None:
    """127 minus a zero point of -128 is 255, although neither 255 nor the step to it fits int8."""
    folded = dequantise(
        np.array([[127]], np.int8), np.array([[0.5]], np.float32), np.array([[-128]], np.int8), axis=1, block_size=1
    )
    assert folded.tolist() == [[127.5]]
    assert folded.dtype == np.float32


def test_last_block_may_be_short() -> None:
    """Five values in blocks of three use the second scale for the last two."""
    folded = dequantise(
        np.array([[1, 1, 1, 1, 1]], np.int8),
        np.array([[2, 10]], np.float32),
        np.array([[0, -1]], np.int8),
        axis=1,
        block_size=3,
    )
    assert folded.tolist() == [[2, 2, 2, 20, 20]]


def test_without_blocks_a_scale_serves_one_place_of_the_axis() -> None:
    """Block size 0 is the older, per-axis form."""
    folded = dequantise(
        np.ones((2, 3), np.int8), np.array([1, 2, 3], np.float32), np.zeros(3, np.int8), axis=1, block_size=0
    )
    assert folded.tolist() == [[1, 2, 3], [1, 2, 3]]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 6), st.integers(0, 1), st.integers(0, 2**32 - 1))
def test_a_quantised_file_is_folded_as_the_reference_evaluator_does_it(
    rows: int, blocks: int, block_size: int, axis: int, seed: int
) -> None:
    """onnx's own evaluator, an independent implementation, gives the same numbers for any shape, axis and block."""
    random = np.random.default_rng(seed)
    shape, scale_shape = (rows, blocks * block_size), (rows, blocks)
    if axis == 0:
        shape, scale_shape = shape[::-1], scale_shape[::-1]
    values = {
        "quantised": random.integers(-128, 128, shape, np.int8),
        "scales": random.uniform(0.001, 2, scale_shape).astype(np.float32),
        "zeros": random.integers(-128, 128, scale_shape, np.int8),
        "flat": np.array([-1], np.int64),
    }
    nodes = [
        helper.make_node(
            "DequantizeLinear", ["quantised", "scales", "zeros"], ["wide"], axis=axis, block_size=block_size
        ),
        helper.make_node("Reshape", ["wide", "flat"], ["folded"]),
    ]
    end = helper.make_tensor_value_info("folded", TensorProto.FLOAT, [shape[0] * shape[1]])
    graph = helper.make_graph(nodes, "g", [], [end], [numpy_helper.from_array(v, k) for k, v in values.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    (expected,) = ReferenceEvaluator(model).run(None, {})
    network = read_network(model.SerializeToString())
    np.testing.assert_array_equal(network.constants["folded"], expected)
    assert network.nodes == ()


def test_weights_listed_as_inputs_are_inputs_no_longer() -> None:
    """An exporter that lists weights among the inputs leaves one input: the data."""
    node = helper.make_node("Mul", ["data", "factor"], ["out"])
    described = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("data", "factor", "out")
    }
    graph = helper.make_graph(
        [node],
        "g",
        [described["data"], described["factor"]],
        [described["out"]],
        [numpy_helper.from_array(np.ones(1, np.float32), "factor")],
    )
    network = read_network(helper.make_model(graph).SerializeToString())
    assert [tensor.name for tensor in network.inputs] == ["data"]
    onnx.checker.check_model(onnx.load_from_string(network.serialised()))


def test_batch_normalisation_is_one_factor_and_one_shift() -> None:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, written out."""
    values = {"g": [2.0], "b": [1.0], "m": [3.0], "v": [0.75]}
    node = helper.make_node("BatchNormalization", ["x", *values], ["y"], epsilon=0.25)
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("x", "y")]
    constants = [numpy_helper.from_array(np.array(v, np.float32), k) for k, v in values.items()]
    model = helper.make_model(helper.make_graph([node], "g", info[:1], info[1:], constants))
    scale, shift = batch_norm(read_network(model.SerializeToString()), node)
    x = 5.0
    assert scale.item() * x + shift.item() == pytest.approx(2.0 * (x - 3.0) / 1.0 + 1.0, abs=1e-12)
