"""Overlap suppression in the graph keeps exactly the boxes that OpenCV keeps, in its order."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import TensorProto

from visavis_export.detector import MAX_FACES, lay_out, suppress_overlaps
from visavis_export.graph import Graph
from visavis_export.pack import DetectorRecipe

Floats = npt.NDArray[np.float32]
RECIPE = DetectorRecipe(
    "yunet", "none", score_threshold=0.4, tall_score_threshold=0.2, tall_from=0.5, overlap_threshold=0.3
)
OUTPUTS = ["boxes", "landmarks", "detection_scores", "face_count"]


@pytest.fixture(scope="module")
def suppression() -> onnxruntime.InferenceSession:
    """The detector's last two parts alone: decoded boxes in, the table of faces out."""
    graph = Graph()
    graph.constant("zero", np.float32(0))
    graph.split("rows", ["box_corner", "box_size", "points"], [2, 2, 10])
    suppress_overlaps(graph, RECIPE)
    lay_out(graph)
    inputs = [("rows", TensorProto.FLOAT, ["n", "c", 14]), ("score_plane", TensorProto.FLOAT, ["n", 1, "c"])]
    kinds = [TensorProto.FLOAT] * 3 + [TensorProto.INT32]
    shapes: list[list[int | str]] = [["n", MAX_FACES, 4], ["n", MAX_FACES, 5, 2], ["n", MAX_FACES], ["n", 1]]
    model = graph.model("suppression", inputs, list(zip(OUTPUTS, kinds, shapes, strict=True)))
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def candidates(seed: int, count: int) -> tuple[Floats, Floats]:
    """Crowded boxes, some beyond the frame's edge, many overlapping by nearly 0.3; scores with ties."""
    random = np.random.default_rng(seed)
    centres = random.uniform(0, 640, (max(2, count // 12), 2))[random.integers(0, max(2, count // 12), count)]
    size = random.uniform(8, 200, (count, 2))
    corner = centres + random.normal(0, 25, (count, 2)) - size / 2
    rows = np.concatenate([corner, size, random.uniform(0, 640, (count, 10))], axis=1)
    return rows.astype(np.float32), np.round(random.uniform(0, 1, count), 2).astype(np.float32)


def opencv_keeps(rows: Floats, scores: Floats) -> list[int]:
    """FaceDetectorYN's way: whole-pixel boxes, cut towards zero."""
    whole = rows[:, :4].astype(np.int32)
    return [int(i) for i in cv2.dnn.NMSBoxes(whole.tolist(), scores.tolist(), 0.4, 0.3)][:MAX_FACES]


@pytest.mark.parametrize("seed", range(40))
def test_a_crowd_is_thinned_as_opencv_thins_it(suppression: onnxruntime.InferenceSession, seed: int) -> None:
    """The same rows survive, best first, each in place, and the rest of the table is zeros."""
    rows, scores = candidates(seed, 40 + 20 * seed)
    kept = opencv_keeps(rows, scores)
    boxes, landmarks, best, count = suppression.run(OUTPUTS, {"rows": rows[None], "score_plane": scores[None, None]})
    faces = len(kept)
    assert count.tolist() == [[faces]]
    np.testing.assert_array_equal(boxes[0, :faces], rows[kept, :4])
    np.testing.assert_array_equal(landmarks[0, :faces].reshape(-1, 10), rows[kept, 4:])
    np.testing.assert_array_equal(best[0, :faces], scores[kept])
    assert not boxes[0, faces:].any()
    assert not landmarks[0, faces:].any()
    assert not best[0, faces:].any()


def test_overlap_of_exactly_the_threshold_is_kept(suppression: onnxruntime.InferenceSession) -> None:
    """Two boxes of intersection 3 and union 10 both stay, as in OpenCV; one pixel more and the worse one goes."""
    for second, expected in (([0, 0, 30, 10], 2), ([0, 0, 31, 10], 1)):
        rows, scores = np.zeros((MAX_FACES, 14), np.float32), np.zeros(MAX_FACES, np.float32)
        rows[:2, :4] = [[0, 0, 100, 10], second]
        scores[:2] = [0.9, 0.8]
        assert len(opencv_keeps(rows, scores)) == expected
        (count,) = suppression.run(["face_count"], {"rows": rows[None], "score_plane": scores[None, None]})
        assert count.item() == expected


def test_frames_of_a_batch_know_nothing_of_one_another(suppression: onnxruntime.InferenceSession) -> None:
    """Sixteen frames at once, one of them empty, give what each gives alone."""
    drawn = [candidates(seed, 200) for seed in range(16)]
    rows, scores = np.stack([r for r, _ in drawn]), np.stack([s for _, s in drawn])[:, None]
    scores[5] = 0
    together = suppression.run(OUTPUTS, {"rows": rows, "score_plane": scores})
    for frame in range(16):
        alone = suppression.run(OUTPUTS, {"rows": rows[frame : frame + 1], "score_plane": scores[frame : frame + 1]})
        for of_all, of_one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(of_all[frame], of_one[0])
    assert together[3][5].item() == 0


@pytest.mark.parametrize(
    ("height", "score", "kept"),
    [
        (100, 0.41, True),
        (100, 0.39, False),
        (320, 0.39, False),
        (480, 0.31, True),
        (480, 0.29, False),
        (640, 0.21, True),
    ],
)
def test_the_taller_a_face_the_less_it_must_score(
    suppression: onnxruntime.InferenceSession, height: float, score: float, kept: bool
) -> None:
    """From half of the frame to all of it the demand falls from 0.4 to 0.2."""
    rows = np.zeros((1, 1, 14), np.float32)
    rows[0, 0, :4] = (10, 0, 50, height)
    feed = {"rows": np.repeat(rows, 40, axis=1), "score_plane": np.full((1, 1, 40), score, np.float32)}
    found = suppression.run(["face_count"], feed)[0]
    assert bool(found[0, 0]) is kept
