"""Half precision up to the last product, float32 outside and after it; what does not bear it is refused."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper, shape_inference
from own_networks import embedder

from visavis_export.arcface import build_arcface
from visavis_export.errors import NetworkUnexpected, VerificationFailed
from visavis_export.half_verification import half_embedder
from visavis_export.halving import halved
from visavis_export.pack import EmbedderRecipe
from visavis_export.runners import OurEmbedder

RECIPE = EmbedderRecipe("arcface", "", None, 127.5, 127.5)
FACES = np.random.default_rng(3).integers(0, 256, (4, 112, 112, 3), np.uint8)


def kinds(data: bytes) -> dict[str, int]:
    """Type of every tensor."""
    graph = shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True).graph
    made = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    return made | {i.name: i.data_type for i in graph.initializer}


def network(body: str, **weights: np.ndarray) -> bytes:
    """``image`` uint8 [n, 3, 8, 8] -> ``y`` float32 [n, 4, 8, 8], in onnx's own notation."""
    head = '<ir_version: 8, opset_import: ["" : 17]> g (uint8[n,3,8,8] image) => (float[n,4,8,8] y)'
    model = onnx.parser.parse_model(f"{head} {{ x = Cast <to = 1> (image) {body} }}")
    values = {"w": np.random.default_rng(1).normal(0, 0.02, (4, 3, 1, 1)).astype(np.float32), **weights}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    return bytes(model.SerializeToString())


def run(data: bytes) -> np.ndarray:
    pixels = np.random.default_rng(2).integers(0, 256, (2, 3, 8, 8), np.uint8)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"image": pixels})[0])


def test_bytes_enter_float32_leaves_and_the_weights_are_half() -> None:
    """An embedder's tensors are those of the float32 graph, its file about half as large, its templates the same."""
    whole = build_arcface(embedder(512), RECIPE)
    half = halved(whole)
    graph, before = onnx.load_from_string(half).graph, onnx.load_from_string(whole).graph
    assert (list(graph.input), list(graph.output)) == (list(before.input), list(before.output))
    assert {i.data_type for i in graph.initializer} == {TensorProto.FLOAT16, TensorProto.INT64}
    assert len(half) < 0.52 * len(whole)
    for one, other in zip(OurEmbedder(whole).embed(FACES), OurEmbedder(half).embed(FACES), strict=True):
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9999


def test_halving_twice_gives_the_same_bytes() -> None:
    """The digest is an identity."""
    whole = build_arcface(embedder(128), RECIPE)
    assert halved(whole) == halved(whole)


def test_what_follows_the_last_product_stays_in_float32() -> None:
    """Exponentials after the convolution are computed on float32, a weight that both parts use is kept for both."""
    data = network("s = Mul(x, two) c = Conv(s, w) e = Exp(c) y = Mul(e, two)", two=np.float32(2))
    half = halved(data)
    found = kinds(half)
    assert [found[name] for name in ("s", "c")] == [TensorProto.FLOAT16] * 2
    assert [found[name] for name in ("e", "y")] == [TensorProto.FLOAT] * 2
    assert (found["two"], found["two_half"]) == (TensorProto.FLOAT, TensorProto.FLOAT16)
    np.testing.assert_allclose(run(half), run(data), rtol=0.05)


def test_an_input_that_must_be_float32_stays_so() -> None:
    """Resize takes its scales in float32 alone, whatever it resizes."""
    scales = np.array([1, 1, 1, 1], np.float32)
    data = network('r = Resize <mode = "nearest"> (x, , scales) y = Conv(r, w)', scales=scales)
    found = kinds(halved(data))
    assert (found["r"], found["scales"]) == (TensorProto.FLOAT16, TensorProto.FLOAT)
    np.testing.assert_allclose(run(halved(data)), run(data), atol=0.02)


def test_an_output_that_is_used_further_is_float32_outside_alone() -> None:
    """Whoever reads it gets float32; the convolution after it gets the float16 that was computed."""
    body = "{ x = Cast <to = 1> (image) first = Conv(x, v) y = Conv(first, w) }"
    head = '<ir_version: 8, opset_import: ["" : 17]> g (uint8[n,3,8,8] image)'
    model = onnx.parser.parse_model(f"{head} => (float[n,3,8,8] first, float[n,4,8,8] y) {body}")
    random = np.random.default_rng(1)
    for name, shape in (("v", (3, 3, 1, 1)), ("w", (4, 3, 1, 1))):
        model.graph.initializer.append(numpy_helper.from_array(random.normal(0, 0.1, shape).astype(np.float32), name))
    half = halved(model.SerializeToString())
    found = kinds(half)
    assert (found["first"], found["first_half"]) == (TensorProto.FLOAT, TensorProto.FLOAT16)
    assert [node.op_type for node in onnx.load_from_string(half).graph.node].count("Cast") == 3
    np.testing.assert_allclose(run(half), run(model.SerializeToString()), atol=0.2)


def test_a_weight_beyond_half_precision_is_refused() -> None:
    """65,504 is the largest number there is."""
    with pytest.raises(NetworkUnexpected, match="too large for half precision"):
        halved(network("s = Mul(x, huge) y = Conv(s, w)", huge=np.float32(1e5)))


def test_numbers_that_a_gpu_would_make_infinite_are_refused() -> None:
    """Every weight fits, and so do the embeddings; what lies between does not."""
    whole = build_arcface(embedder(128, gain=30_000), RECIPE)
    assert np.isfinite(OurEmbedder(whole).embed(FACES)).all()
    with pytest.raises(VerificationFailed, match="--precision fp32 builds, so nothing was replaced: fp16 embedder"):
        half_embedder(whole)
