"""Detectors' graphs, around small networks of the real ones' shape, find what a plain reading of all cells finds."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from visavis_export.detector import FRAME, MAX_FACES, SHORTLIST, STRIDES, shortlist
from visavis_export.errors import NetworkUnexpected
from visavis_export.folding import read_network
from visavis_export.graph import Graph
from visavis_export.matching import Faces
from visavis_export.originals import OriginalScrfd
from visavis_export.pack import DetectorRecipe
from visavis_export.runners import OurDetector, demanded, session_of
from visavis_export.scrfd import build_scrfd
from visavis_export.yunet import build_yunet

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
YUNET = DetectorRecipe(
    "yunet", "none", score_threshold=0.6, tall_score_threshold=0.5, tall_from=0.1, overlap_threshold=0.3
)
SCRFD = replace(YUNET, family="scrfd", mean=127.5, deviation=128.0, close_up_from=0.2)
TRUNK = (
    "a = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w, b) r = Relu(a) "
    "f8 = Conv <strides = [4, 4], pads = [1, 1, 1, 1]> (r, v, c) "
    "f16 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (f8) "
    "f32 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (f16) "
)


def saved(body: str, outputs: list[str], values: dict[str, npt.ArrayLike]) -> bytes:
    """A network ``x [1, 3, 640, 640] -> outputs`` in onnx's own notation."""
    ends = ", ".join(f"float[] {output}" for output in outputs)
    model = onnx.parser.parse_model(
        f'<ir_version: 7, opset_import: ["" : 11]> g (float[1,3,{FRAME},{FRAME}] x) => ({ends}) {{ {TRUNK} {body} }}'
    )
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    arrays = {k: np.asarray(v, None if np.asarray(v).dtype.kind == "i" else np.float32) for k, v in values.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return bytes(model.SerializeToString())


def trunk(random: np.random.Generator, gain: float) -> dict[str, npt.ArrayLike]:
    """Weights that keep every layer's values near ``gain``."""
    return {
        "w": random.normal(0, gain, (8, 3, 3, 3)),
        "b": np.zeros(8),
        "v": random.normal(0, 0.1, (8, 8, 3, 3)),
        "c": np.zeros(8),
    }


def yunet(seed: int, score: float) -> bytes:
    """YuNet's heads on a short trunk; ``score`` is what its logits lie around."""
    random = np.random.default_rng(seed)
    values = trunk(random, 0.004)
    body, outputs = [], []
    for stride in STRIDES:
        for head, count in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            name = f"{head}_{stride}"
            outputs.append(name)
            values[f"{name}p"] = random.normal(0, 1 if count == 1 else 0.1, (count, 8, 1, 1))
            values[f"{name}pb"], values[f"{name}d"] = np.zeros(count), random.normal(0.2, 0.1, (count, 1, 3, 3))
            values[f"{name}db"] = np.full(count, score if count == 1 else 1.0)
            values[f"{name}s"] = np.array([1, -1, count])
            last = f"{name}l = Reshape({name}t, {name}s) {name} = Sigmoid({name}l)"
            body.append(
                f"{name}x = Conv(f{stride}, {name}p, {name}pb) "
                f"{name}y = Conv <pads = [1, 1, 1, 1], group = {count}> ({name}x, {name}d, {name}db) "
                f"{name}t = Transpose <perm = [0, 2, 3, 1]> ({name}y) "
                + (last if count == 1 else f"{name} = Reshape({name}t, {name}s)")
            )
    return saved(" ".join(body), outputs, values)


def scrfd(seed: int) -> bytes:
    """SCRFD's nine outputs, two anchors to a cell, on a short trunk."""
    random = np.random.default_rng(seed)
    values = trunk(random, 0.6)
    body, outputs = [], []
    for count in (1, 4, 10):
        values[f"s{count}"] = np.array([-1, count])
        for stride in STRIDES:
            name = f"o{count}_{stride}"
            outputs.append(name)
            values[f"{name}w"] = random.normal(0, 1 if count == 1 else 0.02, (2 * count, 8, 3, 3))
            values[f"{name}b"] = np.full(2 * count, -8.0 if count == 1 else 2.0)
            body.append(
                f"{name}x = Conv <pads = [1, 1, 1, 1]> (f{stride}, {name}w, {name}b) "
                f"{name}t = Transpose <perm = [0, 2, 3, 1]> ({name}x) "
                + (
                    f"{name}l = Reshape({name}t, s1) {name} = Sigmoid({name}l)"
                    if count == 1
                    else f"{name} = Reshape({name}t, s{count})"
                )
            )
    return saved(" ".join(body), outputs, values)


def frames(count: int, seed: int) -> Pixels:
    """Clouds."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 40, 40, 3), np.uint8)
    return np.stack([cv2.resize(picture, (FRAME, FRAME), interpolation=cv2.INTER_CUBIC) for picture in small])


def read_plainly(original: onnxruntime.InferenceSession, frame: Pixels) -> tuple[Floats, Floats]:
    """Every cell of YuNet's in a frame: rows of x, y, width, height and five points; scores."""
    names = [output.name for output in original.get_outputs()]
    picture = np.ascontiguousarray(frame[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
    heads = dict(zip(names, original.run(names, {"x": picture}), strict=True))
    rows, scores = [], []
    for stride in STRIDES:
        across = FRAME // stride
        box, points = heads[f"bbox_{stride}"][0], heads[f"kps_{stride}"][0].reshape(-1, 5, 2)
        cell = np.stack(np.divmod(np.arange(across**2), across)[::-1], axis=1)
        size = np.exp(box[:, 2:]) * stride
        corner = (box[:, :2] + cell) * stride - size / 2
        rows.append(np.concatenate([corner, size, ((points + cell[:, None]) * stride).reshape(-1, 10)], axis=1))
        scores.append(np.sqrt(heads[f"cls_{stride}"][0, :, 0] * heads[f"obj_{stride}"][0, :, 0]))
    return np.concatenate(rows).astype(np.float32), np.concatenate(scores)


def thinned(rows: Floats, scores: Floats, recipe: DetectorRecipe) -> Faces:
    """OpenCV's overlap suppression of what scores as much as its height demands."""
    good = scores > demanded(recipe, rows[:, 3])
    rows, scores = rows[good], scores[good]
    whole = rows[:, :4].astype(np.int32).tolist()
    kept = list(cv2.dnn.NMSBoxes(whole, scores.tolist(), 0, recipe.overlap_threshold))[:MAX_FACES]
    return Faces(rows[kept, :4], rows[kept, 4:].reshape(-1, 5, 2), scores[kept])


def same(found: Faces, expected: Faces) -> None:
    """The same faces in the same order."""
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-5, atol=2e-3)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize(("seed", "score"), [(1, -2.0), (2, -2.0), (2, -3.0)])
def test_yunets_shortlist_decides_as_all_its_cells_would(seed: int, score: float) -> None:
    """While no more cells than the shortlist has score enough for the tallest face, nothing is lost; in a batch too."""
    data = yunet(seed, score)
    original, pictures = session_of(data), frames(3, seed)
    together = OurDetector(build_yunet(read_network(data), YUNET)).detect(pictures)
    for frame, found in zip(pictures, together, strict=True):
        rows, scores = read_plainly(original, frame)
        assert 0 < (scores > YUNET.tall_score_threshold).sum() <= SHORTLIST
        expected = thinned(rows, scores, YUNET)
        assert len(expected) > 1
        same(found, expected)


def test_of_a_flood_the_best_cells_compete() -> None:
    """Where more cells than the shortlist has score enough, the answer is that of its best ones."""
    data = yunet(1, 2.0)
    (frame,) = frames(1, 7)
    (found,) = OurDetector(build_yunet(read_network(data), YUNET)).detect(frame[None])
    rows, scores = read_plainly(session_of(data), frame)
    assert (scores > YUNET.tall_score_threshold).sum() > 2 * SHORTLIST
    best = np.argsort(-scores, kind="stable")[:SHORTLIST]
    same(found, thinned(rows[best], scores[best], YUNET))


@pytest.mark.parametrize("seed", [1, 2])
def test_scrfds_two_shortlists_decide_as_all_its_anchors_would(seed: int) -> None:
    """Against the file itself at both scales, decoded in numpy; in a batch too."""
    data = scrfd(seed)
    original, pictures = OriginalScrfd(data, SCRFD), frames(3, seed)
    together = OurDetector(build_scrfd(data, SCRFD)).detect(pictures)
    for frame, found in zip(pictures, together, strict=True):
        expected = original.detect(frame)
        assert len(expected) > 1
        same(found, expected)


def test_the_shortlist_is_the_best_and_nothing_below_the_threshold() -> None:
    """In falling order, the first of equals first; what scores no more than the threshold is 0."""
    graph = Graph()
    shortlist(graph, "scores", YUNET, "best", "cells")
    kinds, cells = (TensorProto.FLOAT, TensorProto.INT64), 3000
    shape: list[int | str] = ["n", 1, SHORTLIST]
    outputs = [(name, kind, shape) for name, kind in zip(("best", "cells"), kinds, strict=True)]
    session = session_of(graph.model("shortlist", [("scores", TensorProto.FLOAT, ["n", 1, cells])], outputs))
    scores = np.random.default_rng(3).integers(0, 40, (4, 1, cells)).astype(np.float32) / 40
    scores[1, 0, 100:] = 0.5
    best, places = session.run(["best", "cells"], {"scores": scores})
    competing = np.where(scores > 0.5, scores, 0)
    np.testing.assert_array_equal(best, -np.sort(-competing)[..., :SHORTLIST])
    order = np.argsort(-competing, kind="stable")[..., :SHORTLIST]
    np.testing.assert_array_equal(places[best > 0], order[best > 0])


def without(data: bytes, change: str) -> bytes:
    """YuNet with one thing changed."""
    model = onnx.load_from_string(data)
    nodes = {node.output[0]: node for node in model.graph.node}
    if change == "head":
        nodes["cls_16"].op_type = "Relu"
    elif change == "bias":
        del nodes["kps_8x"].input[2]
    elif change == "features":
        nodes["bbox_8x"].input[0] = "r"
    elif change == "operator":
        nodes["r"].op_type = "Exp"
    elif change == "colours":
        weights = next(i for i in model.graph.initializer if i.name == "w")
        weights.CopyFrom(numpy_helper.from_array(np.zeros((8, 1, 3, 3), np.float32), "w"))
    elif change == "values":
        bbox = next(i for i in model.graph.initializer if i.name == "bbox_32p")
        bbox.CopyFrom(numpy_helper.from_array(np.zeros((5, 8, 1, 1), np.float32), "bbox_32p"))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("head", "head cls_16 has no Sigmoid"),
        ("bias", "convolutions that have a bias"),
        ("features", "the same features"),
        ("operator", "has no Exp node"),
        ("colours", "three channels"),
        ("values", "of pictures"),
    ],
)
def test_another_network_is_refused(change: str, sentence: str) -> None:
    """What is not YuNet is named as such instead of being taken over wrongly."""
    with pytest.raises(NetworkUnexpected, match=sentence):
        build_yunet(read_network(without(yunet(1, -2.0), change)), YUNET)
