"""A scene shows the face where it says, at the size, the turn and the light that its case asks for."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from visavis_accuracy.scenes import CASES, FRAME, VALUES, Case, Kind, Scene, expose, make_scene
from visavis_client.faces import BoundingBox

FACE = BoundingBox(90, 70, 80, 100)
#: The drawn face is an ellipse, as heads are, and only its outline, which the blurred fill does not show.
GROUND, SKIN = (40, 90, 160), (230, 60, 40)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    picture = Image.new("RGB", (250, 240), GROUND)
    around = (FACE.left, FACE.top, FACE.left + FACE.width - 1, FACE.top + FACE.height - 1)
    ImageDraw.Draw(picture).ellipse(around, outline=SKIN, width=12)
    return picture


def scene_of(photograph: Image.Image, kind: Kind, value: float, seed: int = 0) -> Scene:
    return make_scene(photograph, FACE, Case(kind, value), np.random.default_rng(seed))


def seen(scene: Scene) -> np.ndarray:
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(scene.image)))
    assert picture.size == (scene.width, scene.height)
    return np.asarray(picture.convert("RGB")).astype(int)


def drawn(scene: Scene) -> BoundingBox:
    """Where the drawn face really is: its pixels are sharply red, the blurred fill is not."""
    pixels = seen(scene)
    rows, columns = np.nonzero((pixels[..., 0] > 140) & (pixels[..., 2] < 90))
    left, top = float(columns.min()), float(rows.min())
    return BoundingBox(left, top, float(columns.max()) + 1 - left, float(rows.max()) + 1 - top)


def corners(box: BoundingBox) -> tuple[float, ...]:
    return box.left, box.top, box.left + box.width, box.top + box.height


@pytest.mark.parametrize("value", VALUES[Kind.SIZE])
def test_a_face_has_the_height_asked_for_and_lies_in_the_frame(photograph: Image.Image, value: float) -> None:
    """To within the pixel that scaling a whole photograph may cost."""
    scene = scene_of(photograph, Kind.SIZE, value)
    assert (scene.width, scene.height) == (FRAME, FRAME)
    assert scene.face.height == pytest.approx(value, rel=0.02)
    assert corners(scene.face) == pytest.approx(corners(drawn(scene)), abs=2)
    assert scene.face.left > -1
    assert scene.face.left + scene.face.width < FRAME + 1


def test_faces_stand_in_many_places_and_for_one_seed_in_one(photograph: Image.Image) -> None:
    """A seed makes the same pictures, byte for byte."""
    places = {scene_of(photograph, Kind.SIZE, 64, seed).face.left for seed in range(8)}
    assert len(places) == 8
    assert scene_of(photograph, Kind.SIZE, 64, 1) == scene_of(photograph, Kind.SIZE, 64, 1)


@pytest.mark.parametrize("value", VALUES[Kind.CLOSE_UP])
def test_a_close_up_is_cut_so_that_the_face_fills_its_share(photograph: Image.Image, value: float) -> None:
    """Cut, not scaled: beyond 100 % the face's edges lie outside the picture."""
    scene = scene_of(photograph, Kind.CLOSE_UP, value)
    assert scene.width == scene.height
    assert FACE.height / scene.height == pytest.approx(value / 100, rel=0.01)
    assert (scene.face.width, scene.face.height) == (FACE.width, FACE.height)
    visible = tuple(min(max(side, 0), scene.height) for side in corners(scene.face))
    assert visible == pytest.approx(corners(drawn(scene)), abs=2)


@pytest.mark.parametrize("value", VALUES[Kind.ROTATION])
def test_a_turned_face_has_the_box_of_the_turned_ellipse(photograph: Image.Image, value: float) -> None:
    """In the middle of the frame."""
    scene = scene_of(photograph, Kind.ROTATION, value)
    assert corners(scene.face) == pytest.approx(corners(drawn(scene)), abs=3)


def test_a_turn_is_clockwise(photograph: Image.Image) -> None:
    """The top of a head that is turned by a positive angle lies to the right of its middle."""
    marked = photograph.copy()
    ImageDraw.Draw(marked).rectangle((125, 20, 135, 60), fill=(255, 255, 0))
    scene = make_scene(marked, FACE, Case(Kind.ROTATION, 45), np.random.default_rng(0))
    pixels = seen(scene)
    rows, columns = np.nonzero((pixels[..., 0] > 180) & (pixels[..., 1] > 180) & (pixels[..., 2] < 90))
    assert columns.mean() - FRAME / 2 == pytest.approx(FRAME / 2 - rows.mean(), abs=6)
    assert columns.mean() > FRAME / 2 + 50


@pytest.mark.parametrize("value", VALUES[Kind.EXIF])
def test_an_exif_picture_is_stored_turned_and_shown_upright(photograph: Image.Image, value: float) -> None:
    """The face is where the scene says only for those who obey the tag."""
    scene = scene_of(photograph, Kind.EXIF, value)
    stored = Image.open(io.BytesIO(scene.image))
    assert stored.getexif()[0x0112] == value
    assert (stored.size == (scene.width, scene.height)) is (value < 5)
    assert scene.width != scene.height
    assert corners(scene.face) == pytest.approx(corners(drawn(scene)), abs=2)


def test_exposure_counts_light_and_not_numbers() -> None:
    """One stop is twice the light: a grey of 18 % becomes one of 36 %, in sRGB 118 becomes 162."""
    grey = Image.new("RGB", (1, 1), (118, 118, 118))
    assert expose(grey, 1).getpixel((0, 0)) == pytest.approx((162,) * 3, abs=1)
    assert expose(grey, 0).getpixel((0, 0)) == (118, 118, 118)
    assert expose(grey, -20).getpixel((0, 0)) == (0, 0, 0)
    assert expose(grey, 20).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("value", VALUES[Kind.EXPOSURE])
def test_an_exposed_scene_is_darker_or_lighter(photograph: Image.Image, value: float) -> None:
    """Than the same scene as it was."""
    exposed, plain = (seen(scene_of(photograph, Kind.EXPOSURE, stops)) for stops in (value, 0))
    assert math.copysign(1, exposed.mean() - plain.mean()) == math.copysign(1, value)


def test_no_scene_is_left_out() -> None:
    """Sizes from 16 to 640 px, close-ups from 60 to 120 %, turns to 45 degrees, all eight ways a camera is held."""
    sizes = [case.value for case in CASES if case.kind is Kind.SIZE]
    assert sizes == [16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 640]
    assert [case.value for case in CASES if case.kind is Kind.CLOSE_UP] == [60, 70, 80, 90, 100, 110, 120]
    assert {case.value for case in CASES if case.kind is Kind.EXIF} == set(range(1, 9))
    assert {abs(case.value) for case in CASES if case.kind is Kind.ROTATION} == {0, 15, 30, 45}
