"""The embedder's chain, folded and with its PRelu rewritten, computes what the original chain computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from visavis_export.embedder import FACE, build_embedder
from visavis_export.errors import NetworkUnexpected
from visavis_export.folding import read_network
from visavis_export.pack import EmbedderRecipe

RECIPE = EmbedderRecipe("sface", "none", 8)
#: Every kind of slope: negative, zero, ordinary, exactly 1, a hair beside it, above it.
SLOPES = [-0.82, 0.0, 0.25, 1.0, 1.0 + 2.0**-22, 1.13]


def small_network(seed: int = 0, channels: int = 6, strides: tuple[int, ...] = (4, 4)) -> onnx.ModelProto:
    """SFace in small: layers of these strides, all but the first depthwise, and the tail on a map of 7 x 7."""
    random = np.random.default_rng(seed)
    constants = {"mean": np.array([127.5]), "factor": np.array([0.0078125])}
    nodes = [helper.make_node("Sub", ["data", "mean"], ["s"]), helper.make_node("Mul", ["s", "factor"], ["m"])]

    def norm(tensor: str, channels: int, name: str) -> str:
        for part in ("g", "b", "mu"):
            constants[f"{name}{part}"] = random.normal(0.5, 1, channels)
        constants[f"{name}v"] = random.uniform(0.1, 2, channels)
        names = [f"{name}{part}" for part in ("g", "b", "mu", "v")]
        nodes.append(helper.make_node("BatchNormalization", [tensor, *names], [name], epsilon=1e-3))
        return name

    tensor = "m"
    for number, stride in enumerate(strides):
        shape, group = ((channels, 1, 3, 3), channels) if number else ((channels, 3, 3, 3), 1)
        constants[f"w{number}"] = random.normal(0, 0.3, shape)
        settings: dict[str, Any] = {"kernel_shape": [3] * 2, "pads": [1] * 4, "strides": [stride] * 2, "group": group}
        nodes.append(helper.make_node("Conv", [tensor, f"w{number}"], [f"c{number}"], **settings))
        tensor = norm(f"c{number}", channels, f"n{number}")
        constants[f"a{number}"] = np.resize(SLOPES, (channels, 1, 1))
        nodes.append(helper.make_node("PRelu", [tensor, f"a{number}"], [f"p{number}"]))
        tensor = f"p{number}"
    nodes.append(helper.make_node("Flatten", [norm(tensor, channels, "last")], ["flat"]))
    constants |= {"gw": random.normal(0, 0.05, (8, channels * 49)), "gb": random.normal(0, 1, 8)}
    nodes.append(helper.make_node("Gemm", ["flat", "gw", "gb"], ["product"], transB=1))
    norm("product", 8, "end")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [info("data", TensorProto.FLOAT, ["n", 3, FACE, FACE])],
        [info("end", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("seed", range(5))
def test_folding_changes_no_embedding(seed: int) -> None:
    """Our graph on bytes gives the original's output on the same pixels, up to float32's rounding, for every slope."""
    original = small_network(seed).SerializeToString()
    ours = build_embedder(read_network(original), RECIPE)
    faces = np.random.default_rng(seed).integers(0, 256, (3, FACE, FACE, 3), np.uint8)
    (expected,) = session(original).run(None, {"data": faces.transpose(0, 3, 1, 2).astype(np.float32)})
    (embeddings,) = session(ours).run(["embedding"], {"image": faces})
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


def test_large_maps_are_made_twice() -> None:
    """Two layers of 24 channels on 112 x 112 are convolved again with other weights, the third is small."""
    original = small_network(channels=24, strides=(1, 1, 16)).SerializeToString()
    ours = build_embedder(read_network(original), RECIPE)
    faces = np.random.default_rng(1).integers(0, 256, (2, FACE, FACE, 3), np.uint8)
    (expected,) = session(original).run(None, {"data": faces.transpose(0, 3, 1, 2).astype(np.float32)})
    (embeddings,) = session(ours).run(["embedding"], {"image": faces})
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
    sloped = {node.output[0]: list(node.input) for node in onnx.load_from_string(ours).graph.node}
    fed_by = [sloped[f"layer_{number}_sloped"][0] for number in range(3)]
    assert fed_by == ["centred", "layer_0_out", "layer_2_conv"]


def test_no_slow_operator_remains() -> None:
    """PRelu and BatchNormalization are gone; weights are constants, not inputs."""
    model = onnx.load_from_string(build_embedder(read_network(small_network().SerializeToString()), RECIPE))
    assert {node.op_type for node in model.graph.node} == {
        "Transpose", "Cast", "Sub", "Conv", "Relu", "Add", "Flatten", "Gemm"
    }  # fmt: skip
    assert [tensor.name for tensor in model.graph.input] == ["image"]


def test_another_length_than_the_packs_is_refused() -> None:
    """A pack that says 128 values is not built from a network with 8."""
    with pytest.raises(NetworkUnexpected, match=r"has 8 values, the pack says 128\."):
        build_embedder(read_network(small_network().SerializeToString()), EmbedderRecipe("sface", "none", 128))


def test_another_network_is_refused() -> None:
    """A network that is not one chain is named as such instead of being folded wrongly."""
    model = small_network()
    model.graph.node[2].input[0] = "data"
    with pytest.raises(NetworkUnexpected, match="is one chain"):
        build_embedder(read_network(model.SerializeToString()), RECIPE)
