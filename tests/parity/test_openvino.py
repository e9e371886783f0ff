"""OpenVINO in bfloat16 finds the same faces as onnxruntime in float32 and makes templates that mean the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import SHARED

from visavis_export import pictures
from visavis_export.matching import Faces, Floats, compare, cosine
from visavis_export.repository import Repository
from visavis_export.served import served_module
from visavis_server.backends.onnxruntime.configuration import ModelConfig
from visavis_server.backends.onnxruntime.session import OnnxModel
from visavis_server.placing import undecided

PHOTOGRAPHS = 40


@pytest.fixture(scope="module", autouse=True)
def bfloat16() -> None:
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO, which is not installed")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("needs a processor with instructions for bfloat16")


@pytest.fixture(scope="module")
def frames() -> pictures.Pixels:
    """Letterboxes: photographs of as many people, or the export's own pictures where these are absent."""
    folder = SHARED / "data" / "lfw"
    if not folder.is_dir():
        return pictures.frames()
    return np.stack([pictures.letterbox_of(path) for path in pictures.photograph_files(folder, PHOTOGRAPHS)])


def models(repository: Repository, name: str) -> tuple[OnnxModel, OnnxModel]:
    """One graph as the backend serves it, by onnxruntime and by OpenVINO."""
    config = ModelConfig.from_json(undecided(repository.root)[name])
    graph = repository.root / name / "1" / config.graph_file
    halved = replace(config, cpu_accelerators={"openvino": {"precision": "BF16"}})
    return OnnxModel(config, graph, kind="CPU"), OnnxModel(halved, graph, kind="CPU")


def detected(model: OnnxModel, frame: pictures.Pixels) -> Faces:
    (found,) = model.run([{"image": frame[None]}])
    (count,) = found["face_count"][0]
    return Faces(found["boxes"][0, :count], found["landmarks"][0, :count], found["detection_scores"][0, :count])


def test_the_same_faces_are_found_at_the_same_place(exported: Repository, frames: pictures.Pixels) -> None:
    """Landmarks mostly within a pixel of the frame.

    Of two neighbouring cells that score a face alike the other one may win, whose landmarks lie some pixels beside:
    never more than a twentieth of the face's height.
    """
    single, halved = models(exported, "face_detector")
    distances, heights = [], []
    for frame in frames:
        faces, others = detected(single, frame), detected(halved, frame)
        found = compare(faces, others)
        assert (found.missed, found.extra) == (0, 0)
        assert found.worst_score <= 0.01
        for box, landmarks in zip(faces.boxes, faces.landmarks, strict=True):
            distances.append(np.linalg.norm(nearest(others, landmarks) - landmarks, axis=1).max())
            heights.append(box[3])
    assert len(distances) >= len(frames) // 2
    assert np.median(distances) <= 1.0
    assert (np.array(distances) <= 0.05 * np.array(heights)).all()


def nearest(faces: Faces, landmarks: Floats) -> Floats:
    """Those of the landmarks of ``faces`` that lie closest."""
    place = int(np.argmin(np.abs(faces.landmarks - landmarks).max(axis=(1, 2))))
    found: Floats = faces.landmarks[place]
    return found


def test_a_face_has_the_same_template(exported: Repository, frames: pictures.Pixels) -> None:
    """The same aligned face to a cosine of 0.998; with each detector's own landmarks a face stays its own."""
    detectors, embedders = models(exported, "face_detector"), models(exported, "face_embedder")
    alignment = served_module(exported, "face_aligner", "alignment")
    same, whole = [], []
    for frame in frames:
        faces, others = (detected(detector, frame) for detector in detectors)
        for landmarks in faces.landmarks:
            face, other = (
                alignment.align(frame, alignment.similarity(points))
                for points in (landmarks, nearest(others, landmarks))
            )
            expected = embedding(embedders[0], face)
            same.append(cosine(expected, embedding(embedders[1], face)))
            whole.append(cosine(expected, embedding(embedders[1], other)))
    assert len(same) >= len(frames) // 2
    assert min(same) >= 0.998
    assert np.median(whole) >= 0.995
    assert min(whole) >= 0.9


def embedding(model: OnnxModel, face: pictures.Pixels) -> Floats:
    """Of one aligned face."""
    found: Floats = model.run([{"image": face[None]}])[0]["embedding"][0]
    return found
