"""Alignment from the picture beside alignment from the detector's frame: the same pixels to the detector, paired."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from portraits import as_jpeg, public_portraits
from rich.console import Console
from typer.testing import CliRunner

from visavis_accuracy.main import app
from visavis_accuracy.photographs import CollectionInvalid, Photograph
from visavis_accuracy.pipeline import Pipeline
from visavis_accuracy.resolution import Known, Row, gain_of, locate, measure, scene_of
from visavis_accuracy.resolution_command import choose, table_of
from visavis_accuracy.scenes import FRAME, LARGEST_SCENE, set_back
from visavis_client.errors import PictureTooLarge
from visavis_client.faces import BoundingBox, PictureAnalysis
from visavis_client.fakes import FAKE_MODEL, FakeEngine, fake_analysis, fake_face

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"
FACE = BoundingBox(75, 70, 90, 110)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(REPOSITORY)


def portrait(width: int, height: int) -> Image.Image:
    return Image.open(io.BytesIO(public_portraits()["astronaut"])).resize((width, height))


def bitmap(pixels: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "BMP")
    return sink.getvalue()


@pytest.mark.parametrize("size", [(250, 250), (640, 400), (1500, 2000), (2600, 2600)])
def test_the_frame_of_a_frame_is_the_same_frame(pipeline: Pipeline, size: tuple[int, int]) -> None:
    """To the bit, whatever the picture's size: so the detector sees the same, and the aligner alone sees less."""
    frame = pipeline.frame(as_jpeg(portrait(*size)))
    assert max(frame.shape[:2]) == FRAME
    np.testing.assert_array_equal(pipeline.frame(bitmap(frame)), frame)


def test_both_ways_of_alignment_are_timed(pipeline: Pipeline) -> None:
    """A face that must be decoded again costs more from the picture; landmarks are the original's."""
    landmarks = fake_face(left=1100, top=900, width=70, height=90).landmarks.rows()
    cutting = pipeline.cutting(as_jpeg(portrait(2600, 2600)), landmarks)
    assert cutting.from_picture > cutting.from_frame > 0


def test_a_repository_without_the_modules_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CollectionInvalid, match=r"has no decoding\.py: that model repository is not whole"):
        Pipeline(tmp_path)


def test_another_module_of_the_same_name_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this process has loaded as ``decoding`` or, for the aligner's own use, ``alignment``."""
    for name in ("decoding", "framing", "faces", "alignment", "posture"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    searched = list(sys.path)
    assert Pipeline(REPOSITORY).frame(as_jpeg(portrait(250, 250))).shape == (FRAME, FRAME, 3)
    assert sys.path == searched


@pytest.mark.parametrize("face_px", [24, 32, 96])
def test_a_face_that_is_set_back_keeps_its_pixels(face_px: float) -> None:
    """It has the height asked for once the picture is reduced to the frame; the photograph around it is as it was."""
    photograph = portrait(250, 250)
    scene = set_back(photograph, FACE, face_px)
    assert (scene.width, scene.face.width, scene.face.height) == (scene.height, FACE.width, FACE.height)
    assert scene.face.height * FRAME / scene.width == pytest.approx(face_px, rel=0.01)
    left, top = round(scene.face.left - FACE.left), round(scene.face.top - FACE.top)
    inside = Image.open(io.BytesIO(scene.image)).crop((left + 40, top + 40, left + 200, top + 200))
    difference = np.asarray(inside, np.int16) - np.asarray(photograph.crop((40, 40, 200, 200)), np.int16)
    assert np.abs(difference).mean() < 2


def test_a_large_portrait_is_reduced_before_it_is_set_back(tmp_path: Path) -> None:
    """Or its scene would be larger than any picture that is served; what is known of the face moves along."""
    portrait(1200, 1200).save(tmp_path / "portrait.jpg")
    there = fake_face(left=300, top=200, width=500, height=620)
    image, landmarks = scene_of(Known(Photograph(tmp_path / "portrait.jpg", "somebody"), there), 24)
    scene = Image.open(io.BytesIO(image))
    assert scene.size == (LARGEST_SCENE, LARGEST_SCENE)
    box = set_back(portrait(1200, 1200), there.box, 24).face
    assert box.height * FRAME / LARGEST_SCENE == pytest.approx(24, rel=0.01)
    assert (box.left + box.width / 2, box.top + box.height / 2) == pytest.approx((LARGEST_SCENE / 2,) * 2, abs=1)
    inside = (there.landmarks.rows() - (300, 200)) / (500, 620)
    np.testing.assert_allclose((landmarks - (box.left, box.top)) / (box.width, box.height), inside, atol=1e-4)


def crowd(scatter: float) -> tuple[np.ndarray, np.ndarray]:
    """Two templates of 400 people each."""
    identities = np.repeat(np.arange(400, dtype=np.int32), 2)
    centres = np.random.default_rng(0).standard_normal((400, 64), np.float32)
    vectors = centres[identities] + scatter * np.random.default_rng(1).standard_normal((800, 64), np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), identities


def test_the_gain_is_judged_over_the_same_people() -> None:
    """Nothing for the same templates, exactly; more than nothing where the frame's are worse."""
    (good, identities), (bad, _) = crowd(0.5), crowd(1.2)
    same = gain_of(good, good, identities)
    assert same.from_picture == same.from_frame
    assert same.interval is not None
    assert (same.interval.low, same.interval.high) == (0, 0)
    better = gain_of(good, bad, identities)
    assert better.interval is not None
    assert better.interval.low > 0.2
    assert (better.from_picture.value or 0) - (better.from_frame.value or 0) > better.interval.low


def test_too_few_pairs_say_nothing() -> None:
    """Ten non-mated pairs must lie above a threshold."""
    vectors, identities = crowd(0.5)
    few = gain_of(vectors[:200], vectors[:200], identities[:200])
    assert few.from_picture.value is few.from_frame.value is None


def test_people_with_too_few_photographs_are_left_out() -> None:
    """Two of everybody who has two, of as many people as asked for, the same ones for the same seed."""
    counts = {"one": 1, "two": 2, "three": 3, "nine": 9}
    photographs = [Photograph(Path(f"{name}{n}.jpg"), name) for name, many in counts.items() for n in range(many)]
    assert [p.identity for p in choose(photographs, 10, seed=0)] == ["two"] * 2 + ["three"] * 2 + ["nine"] * 2
    assert len(choose(photographs, 2, seed=0)) == 4
    assert choose(photographs, 2, seed=3) == choose(photographs, 2, seed=3)
    with pytest.raises(CollectionInvalid, match="at least two people with 2 photographs"):
        choose(photographs[:3], 10, seed=0)


class ColourEngine:
    """Knows people by the colour in the middle of a picture, and sees none in a grey one that is a frame."""

    model = FAKE_MODEL

    async def analyse(self, image: bytes, **_: object) -> PictureAnalysis:
        picture = Image.open(io.BytesIO(image)).convert("RGB")
        red, green, _ = (round(c / 50) for c in picture.getpixel((picture.width // 2, picture.height // 2)))
        if red == green and picture.width == FRAME:
            return fake_analysis()
        return fake_analysis(fake_face(red - 2.5, green - 2.5, left=70, top=60, width=100, height=120))


def test_photographs_count_where_a_face_is_found_either_way(tmp_path: Path, pipeline: Pipeline) -> None:
    """Every size asks twice for each photograph, and every answer is told."""
    known = []
    for place, (red, green) in enumerate([(200, 50), (200, 50), (50, 200), (50, 200), (100, 100)]):
        path = tmp_path / f"{place}.png"
        Image.new("RGB", (240, 240), (red, green, 100)).save(path)
        known.append(Known(Photograph(path, f"{red}"), fake_face(left=70, top=60, width=100, height=120)))
    told: list[int] = []
    row = asyncio.run(measure(known, 64, ColourEngine(), pipeline, told.append))
    assert (row.face_px, row.photographs, row.found, sum(told)) == (64, 5, 4, 10)
    assert row.gain.from_picture.value is None
    assert min(row.cutting.from_picture, row.cutting.from_frame) > 0


class RefusingEngine:
    """Takes no picture."""

    model = FAKE_MODEL

    async def analyse(self, image: bytes, **_: object) -> PictureAnalysis:
        raise PictureTooLarge("too many pixels")


def test_a_scene_that_the_engine_refuses_is_one_in_which_no_face_is_found(tmp_path: Path, pipeline: Pipeline) -> None:
    """Not the end of the measurement, even where it happens to all of them."""
    portrait(240, 240).save(tmp_path / "portrait.png")
    known = [Known(Photograph(tmp_path / "portrait.png", name), fake_face()) for name in ("one", "two")]
    told: list[int] = []
    row = asyncio.run(measure(known, 64, RefusingEngine(), pipeline, told.append))
    assert (row.photographs, row.found, sum(told)) == (2, 0, 4)
    assert row.gain.from_picture.value is row.gain.interval is None


def test_a_photograph_that_goes_meanwhile_is_named(tmp_path: Path, pipeline: Pipeline) -> None:
    gone = Photograph(tmp_path / "gone.jpg", "somebody")
    for work in (
        locate([gone], RefusingEngine(), lambda _: None),
        measure([Known(gone, fake_face())], 64, RefusingEngine(), pipeline, lambda _: None),
    ):
        with pytest.raises(ExceptionGroup) as caught:
            asyncio.run(work)
        assert [str(error) for error in caught.value.exceptions] == [
            f"{gone.path} cannot be read: No such file or directory"
        ]


@pytest.mark.parametrize("height", ["0.5", "-1", "641", "nan"])
def test_a_height_at_which_nobody_finds_a_face_is_refused(tmp_path: Path, height: str) -> None:
    done = CliRunner().invoke(app, ["resolution", str(tmp_path), "--face-px", "0", "--face-px", height])
    assert done.exit_code == 2
    assert f"{height} is neither 0 nor a height of 8 to 640 pixels" in " ".join(done.output.replace("│", "").split())


def test_who_is_not_seen_is_left_out(tmp_path: Path) -> None:
    """Neither a picture without a face becomes a scene, nor one that either the engine or Pillow cannot read."""
    drawn = {name: bitmap(np.full((9, 9, 3), grey, np.uint8)) for grey, name in enumerate(("seen", "empty", "large"))}
    files = {**drawn, "broken": b"broken"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    answers = (fake_analysis(fake_face()), fake_analysis(), PictureTooLarge("large"), fake_analysis(fake_face()))
    engine = FakeEngine(dict(zip(files.values(), answers, strict=True)))
    told: list[int] = []
    photographs = [Photograph(tmp_path / name, name) for name in files]
    known = asyncio.run(locate(photographs, engine, told.append))
    assert [one.photograph.identity for one in known] == ["seen"]
    assert sum(told) == 4


def test_the_table_shows_what_is_known(tmp_path: Path, pipeline: Pipeline) -> None:
    """Rates, their difference and both times; a dash where the data cannot say."""
    (good, identities), (bad, _) = crowd(0.5), crowd(1.2)
    cutting = pipeline.cutting(as_jpeg(portrait(300, 300)), fake_face().landmarks.rows())
    rows = [
        Row(24, 800, 799, gain_of(good, bad, identities), cutting),
        Row(None, 100, 100, gain_of(good[:100], bad[:100], identities[:100]), cutting),
    ]
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(table_of(rows))
    small, as_it_is = (line for line in console.export_text().splitlines() if "of" in line and "│" in line)
    assert "799 of 800" in small
    assert "+0." in small
    assert as_it_is.count("–") == 3
