"""Networks as others save them - frozen, computing shapes, of older opsets - run in batches after they were freed."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from visavis_export.arcface import build_arcface
from visavis_export.errors import ExportError, NetworkUnexpected
from visavis_export.families import build_embedder_of
from visavis_export.freeing import free, parse
from visavis_export.pack import EmbedderRecipe
from visavis_export.runners import OurEmbedder
from visavis_export.verification import require

RECIPE = EmbedderRecipe("arcface", "", None, 127.5, 127.5)
RANDOM = np.random.default_rng(5)
WEIGHTS = {
    "w": RANDOM.normal(0, 0.2, (4, 3, 3, 3)),
    "p": RANDOM.normal(0, 0.2, (6, 4)),
    "ones": np.ones(6),
    "small": np.full(6, 0.25),
}


def saved(body: str, opset: int = 11, batch: str = "1", **more: np.ndarray) -> bytes:
    """A network ``x [batch, 3, 112, 112] -> y`` with 4 channels in ``c``, written in onnx's own notation."""
    head = f'<ir_version: 7, opset_import: ["" : {opset}]> g (float[{batch},3,112,112] x) => (float[] y)'
    model = onnx.parser.parse_model(f"{head} {{ c = Conv <strides = [8, 8]> (x, w) {body} }}")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    values = {**{name: value.astype(np.float32) for name, value in WEIGHTS.items()}, **more}
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in values.items() if k in used)
    return bytes(model.SerializeToString())


WAYS = {
    "a batch written into Reshape": "v = GlobalAveragePool(c) f = Reshape(v, one_rest) y = Gemm <transB = 1> (f, p)",
    "a batch read from the input": (
        "v = GlobalAveragePool(c) s = Shape(v) i = Constant <value = int64 {0}> () b = Gather <axis = 0> (s, i) "
        "u = Unsqueeze <axes = [0]> (b) r = Constant <value = int64[1] {-1}> () t = Concat <axis = 0> (u, r) "
        "f = Reshape(v, t) y = Gemm <transB = 1> (f, p)"
    ),
    "Flatten": "v = GlobalAveragePool(c) f = Flatten <axis = 1> (v) y = Gemm <transB = 1> (f, p)",
    "Squeeze with axes": "v = GlobalAveragePool(c) f = Squeeze <axes = [2, 3]> (v) y = Gemm <transB = 1> (f, p)",
    "an embedding of four axes": "y = GlobalAveragePool(c)",
    "Dropout and Identity on the way out": (
        "v = GlobalAveragePool(c) d = Dropout(v) f = Flatten(d) z = Gemm <transB = 1> (f, p) y = Identity(z)"
    ),
    "batch normalisation of numbers": (
        "v = GlobalAveragePool(c) f = Flatten(v) z = Gemm <transB = 1> (f, p, small) "
        "y = BatchNormalization <epsilon = 0.001, momentum = 0.9> (z, ones, small, small, ones)"
    ),
}
MORE = {"one_rest": np.array([1, -1], np.int64)}


def check(data: bytes, length: int) -> None:
    """The freed graph, in a batch of five, against the file as it was saved, face by face."""
    faces = RANDOM.integers(0, 256, (5, 112, 112, 3), np.uint8)
    original = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    pixels = ((faces.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)
    expected = [original.run(None, {"x": face[None]})[0].reshape(-1) for face in pixels]
    found = OurEmbedder(build_arcface(data, RECIPE)).embed(faces)
    assert found.shape == (5, length)
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_frozen_network_takes_batches(way: str) -> None:
    check(saved(WAYS[way], **MORE), 4 if "four axes" in way else 6)


def test_a_batch_that_cannot_be_freed_is_found() -> None:
    """A constant of one row joined to every face's: sound at a batch of 1, refused since it fails at others."""
    body = "v = GlobalAveragePool(c) f = Flatten(v) y = Concat <axis = 1> (f, row)"
    data = saved(body, row=np.zeros((1, 2), np.float32))
    with pytest.raises(ExportError):
        require(build_embedder_of(data, RECIPE).verify())


@pytest.mark.parametrize("opset", [9, 13, 15, 17, 20])
def test_opsets_old_and_new_are_read(opset: int) -> None:
    check(saved(WAYS["batch normalisation of numbers"], opset), 6)


def test_old_limits_of_clip_are_taken_along() -> None:
    """Before opset 11 they were attributes."""
    check(saved("l = Clip <min = 0.0, max = 0.5> (c) y = GlobalAveragePool(l)", 10), 4)


def test_a_named_batch_axis_is_no_obstacle() -> None:
    check(saved(WAYS["Flatten"], batch="N"), 6)


def test_a_resize_to_given_sizes_works_in_batches() -> None:
    """Sizes name a batch of 1; scales, which they become, name none."""
    sizes = np.array([1, 4, 28, 28], np.int64)
    body = (
        'e = Constant <value = float[0] {}> () r = Resize <mode = "nearest", nearest_mode = "floor", '
        'coordinate_transformation_mode = "asymmetric"> (c, e, e, sizes) y = GlobalAveragePool(r)'
    )
    check(saved(body, sizes=sizes), 4)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x08\xff nothing", "not ONNX"),
        (b"", "opset 9 or later"),
        (saved(WAYS["Flatten"], 8), "opset 9 or later"),
        (saved("v = GlobalAveragePool(c) y = Squeeze(v)"), "one row of numbers for each face"),
        (saved("y = Add(c, other)", other=np.zeros((1, 4, 9, 9), np.float32)), "112x112"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, sentence: str) -> None:
    with pytest.raises(NetworkUnexpected, match=sentence):
        build_arcface(data, RECIPE)


def test_only_one_picture_is_an_input() -> None:
    """A network with a second input, or with one that is no picture, is refused."""
    for shape in ([1, 1, 112, 112], [1, 10]):
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
        with pytest.raises(NetworkUnexpected, match="one float32 picture"):
            free(model.SerializeToString(), 112)


def test_weights_in_other_files_are_refused() -> None:
    """The external data of a large export is not there when its bytes are."""
    model, _ = parse(saved(WAYS["Flatten"]))
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="elsewhere.bin")
    with pytest.raises(NetworkUnexpected, match="in other files"):
        parse(model.SerializeToString())


def test_pixels_are_not_normalised_twice() -> None:
    """A network that begins with its own mean says so; with mean 0 and deviation 1 it gets the bytes."""
    mean = numpy_helper.from_array(np.float32(127.5), "mean")
    model, _ = parse(saved("y = GlobalAveragePool(c)"))
    model.graph.node[0].input[0] = "centred"
    model.graph.node.insert(0, helper.make_node("Sub", ["x", "mean"], ["centred"]))
    model.graph.initializer.append(mean)
    with pytest.raises(NetworkUnexpected, match="normalises its pixels itself"):
        build_arcface(model.SerializeToString(), RECIPE)
    build_arcface(model.SerializeToString(), EmbedderRecipe("arcface", ""))
