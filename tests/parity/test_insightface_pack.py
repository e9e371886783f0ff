"""The `insightface` pack from somebody's own files, exported as a user exports it and run in onnxruntime."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from PIL import Image

from visavis_export import pictures
from visavis_export.matching import iou
from visavis_export.repository import DETECTOR, EMBEDDER, RECORD, Repository
from visavis_export.runners import OurDetector, OurEmbedder

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Pixels = npt.NDArray[np.uint8]
SIDE = 640
CLOSE_UPS = (60, 70, 80, 90, 100, 110, 120)


@pytest.fixture(scope="module")
def models(shared: Path) -> Path:
    """The folder with somebody's SCRFD and embedder."""
    folder = shared / "models"
    if not {"scrfd_2.5g.onnx", "mobilefacenet.onnx"} <= {path.name for path in folder.glob("*.onnx")}:
        pytest.skip("needs scrfd_2.5g.onnx and mobilefacenet.onnx in ../shared/models, which are not here")
    return folder


@pytest.fixture(scope="module")
def own(models: Path, export: Command, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with the pack, its files named one by one."""
    root = tmp_path_factory.mktemp("insightface")
    files = [
        "--detector",
        f"scrfd={models / 'scrfd_2.5g.onnx'}",
        "--embedder",
        f"arcface={models / 'mobilefacenet.onnx'}",
    ]
    done = export(root, "--accept-licence", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"run `visavis calibrate DIR --model-repository {root}`" in done.stdout
    return Repository(root)


@pytest.fixture(scope="module")
def detector(own: Repository) -> OurDetector:
    return OurDetector(own.read(DETECTOR) or b"")


@pytest.fixture(scope="module")
def frames(portraits: dict[str, bytes]) -> Pixels:
    """Sixteen letterboxes: drawn faces, the portraits in several sizes, and two without a face."""
    views = [pictures.fit(_read(encoded)) for encoded in portraits.values()]
    return np.resize(np.concatenate([np.stack(views), pictures.frames()]), (16, SIDE, SIDE, 3))


def test_a_pack_file_and_a_folder_give_the_same_bytes(
    own: Repository, models: Path, export: Command, tmp_path: Path
) -> None:
    """Built again from a TOML file of the user's, licence accepted in it: the same graphs under the user's name."""
    source = tmp_path / "ours.toml"
    text = (Path(pictures.__file__).parent / "packs" / "insightface.toml").read_text("utf-8")
    source.write_text("licence_accepted = true\n" + text.replace('name = "insightface"', 'name = "ours"'))
    done = export(tmp_path / "again", "--pack", str(source), "--weights-dir", str(models))
    assert done.returncode == 0, done.stdout + done.stderr
    again = Repository(tmp_path / "again")
    assert {name: again.digest(name) for name in (DETECTOR, EMBEDDER)} == {
        name: own.digest(name) for name in (DETECTOR, EMBEDDER)
    }
    record = json.loads(again.read(RECORD) or b"")
    assert record["identity"] == f"ours-{again.digest(EMBEDDER)[:12]}"
    assert record["embedder"]["dimensions"] == 128


def test_without_consent_nothing_is_built(models: Path, export: Command, tmp_path: Path) -> None:
    """The licence is shown, and one sentence says how to accept it."""
    done = export(tmp_path, "--pack", "insightface", "--weights-dir", str(models))
    assert done.returncode == 1
    assert "non-commercial research only" in done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("say so with --accept-licence.\n")
    assert not (tmp_path / RECORD).exists()


def test_a_pack_that_was_chosen_stays(own: Repository, export: Command) -> None:
    """An export without a pack's name, as every start of the service runs it, leaves it alone."""
    before = own.digest(RECORD)
    done = export(own.root)
    assert (done.returncode, own.digest(RECORD)) == (0, before)
    assert done.stdout.startswith("Nothing to do: ")


def test_graphs_are_sound_and_declare_our_tensors(own: Repository) -> None:
    """onnx's full check, opset 17, our names; only the batch axis is free."""
    names = {
        DETECTOR: (["image"], ["boxes", "landmarks", "detection_scores", "face_count"]),
        EMBEDDER: (["image"], ["embedding"]),
    }
    for name, (inputs, outputs) in names.items():
        model = onnx.load_from_string(own.read(name) or b"")
        onnx.checker.check_model(model, full_check=True)
        assert [opset.version for opset in model.opset_import] == [17]
        assert ([t.name for t in model.graph.input], [t.name for t in model.graph.output]) == (inputs, outputs)
        for tensor in (*model.graph.input, *model.graph.output):
            free = [dim.HasField("dim_value") for dim in tensor.type.tensor_type.shape.dim]
            assert free == [False] + [True] * (len(free) - 1)


def test_faces_that_fill_the_picture_are_found(detector: OurDetector, shared: Path) -> None:
    """Sixty people's faces cut to 60 to 120 % of the frame: at least 99 in 100 found where they are."""
    people = sorted((shared / "data" / "lfw").iterdir())
    people = people[:: len(people) // 60][:60]
    found = []
    for person in people:
        picture = _read((next(iter(sorted(person.glob("*.jpg"))))).read_bytes())
        found += list(_found_close_up(detector, picture))
    assert len(found) == len(people) * len(CLOSE_UPS)
    assert np.mean(found) >= 0.99


def test_small_faces_are_not_lost_to_the_second_scale(detector: OurDetector, frames: Pixels) -> None:
    """Each portrait shrunk to an eighth of the frame is still one face, its eyes left and right of its nose."""
    for frame in frames[:2]:
        small = np.zeros_like(frame)
        small[100:260, 200:360] = cv2.resize(frame, (160, 160), interpolation=cv2.INTER_AREA)
        (faces,) = detector.detect(small[None])
        assert len(faces) == 1
        left_eye, right_eye, nose, left_mouth, right_mouth = faces.landmarks[0]
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_a_batch_gives_what_single_frames_give(detector: OurDetector, frames: Pixels) -> None:
    """Sixteen frames in one execution, though the file was made for one."""
    together = detector.detect(frames)
    assert sum(len(faces) for faces in together) >= 8
    for batch, frame in zip(together, frames, strict=True):
        alone = detector.detect(frame[None])[0]
        np.testing.assert_allclose(batch.boxes, alone.boxes, atol=0.01)
        np.testing.assert_allclose(batch.landmarks, alone.landmarks, atol=0.01)
        np.testing.assert_allclose(batch.scores, alone.scores, atol=1e-4)


@pytest.mark.parametrize("size", [2, 7, 32])
def test_embeddings_do_not_depend_on_their_batch(own: Repository, frames: Pixels, size: int) -> None:
    """An embedder frozen at a batch of 1 takes any."""
    embedder = OurEmbedder(own.read(EMBEDDER) or b"")
    faces = np.resize(pictures.crops(frames), (size, 112, 112, 3))
    single = np.concatenate([embedder.embed(face[None]) for face in faces])
    assert single.shape == (size, 128)
    np.testing.assert_allclose(embedder.embed(faces), single, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--detector", "scrfd={models}/mobilefacenet.onnx"], "none of SCRFD's."),
        (["--detector", "scrfd={models}/yunet_n_dynamic.onnx"], "SCRFD"),
        (["--embedder", "arcface={models}/scrfd_2.5g.onnx"], "An embedder has one output"),
        (["--detector", "scrfd={tmp}/noise.onnx"], "is not ONNX"),
        (["--detector", "scrfd={tmp}/absent.onnx"], "cannot be read: No such file or directory."),
        (["--detector", "yunet={models}/scrfd_2.5g.onnx"], "whose detector is given as scrfd=FILE."),
        (["--pack", "opencv", "--detector", "scrfd={models}/scrfd_2.5g.onnx"], "whose detector is its own."),
    ],
)
def test_a_file_that_does_not_fit_is_one_sentence(
    models: Path, export: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    """No traceback, exit code 1, and nothing installed."""
    (tmp_path / "noise.onnx").write_bytes(b"\x08\xff no model at all")
    given = [argument.format(models=models, tmp=tmp_path) for argument in arguments]
    for part, name in (("detector", "scrfd_2.5g"), ("embedder", "mobilefacenet")):
        family = "scrfd" if part == "detector" else "arcface"
        if f"--{part}" not in given and "opencv" not in given:
            given += [f"--{part}", f"{family}={models / name}.onnx"]
    done = export(tmp_path / "models", "--accept-licence", *given)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert not (tmp_path / "models" / RECORD).exists()


def _found_close_up(detector: OurDetector, picture: Pixels) -> Iterator[bool]:
    """Whether the middle face is found at each share of the frame, in its own surroundings."""
    enlarged = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    (faces,) = detector.detect(enlarged[None])
    middle = faces.boxes[:, :2] + faces.boxes[:, 2:] / 2
    box = faces.boxes[np.abs(middle - SIDE / 2).sum(axis=1).argmin()] * (picture.shape[0] / SIDE)
    centre = box[:2] + box[2:] / 2
    for share in CLOSE_UPS:
        scale = SIDE * share / 100 / box[3]
        move = np.array([[scale, 0, SIDE / 2 - scale * centre[0]], [0, scale, SIDE / 2 - scale * centre[1]]])
        scene = cv2.warpAffine(picture, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        place = np.array([*(SIDE / 2 - scale * box[2:] / 2), *(scale * box[2:])], np.float32)
        (seen,) = detector.detect(np.asarray(scene, np.uint8)[None])
        yield any(iou(found, place) > 0.5 for found in seen.boxes)


def _read(encoded: bytes) -> Pixels:
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture.convert("RGB"))
