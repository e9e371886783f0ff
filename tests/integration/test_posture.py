"""Posture and sharpness of real faces, through the ensemble."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageFilter, ImageOps
from running import RunningService

from visavis_client import Face
from visavis_client.faces import ModelIdentity
from visavis_client.triton import TritonEngine

#: Degrees that a mirrored face's angles may be off by.
TOLERANCE = 8.0


def largest_faces(service: RunningService, pictures: Sequence[bytes]) -> list[Face]:
    async def ask() -> list[Face]:
        engine = TritonEngine(service.grpc, model=ModelIdentity("under-test"), timeout_s=30)
        try:
            found = await asyncio.gather(*(engine.analyse(picture, max_faces=0) for picture in pictures))
        finally:
            await engine.close()
        return [answer.faces[0] for answer in found]

    return asyncio.run(ask())


def encode(picture: Image.Image) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=95)
    return sink.getvalue()


@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_a_turned_picture_turns_the_roll(service: RunningService, portraits: dict[str, bytes], name: str) -> None:
    """YuNet's landmarks follow a turn by a third at least (docs/accuracy-evidence.md), and so does roll."""
    whole = Image.open(io.BytesIO(portraits[name])).convert("RGB")
    turns = (-30, -15, 0, 15, 30)
    faces = largest_faces(service, [encode(whole.rotate(-turn, Image.Resampling.BICUBIC)) for turn in turns])
    rolls = [face.pose.roll - faces[2].pose.roll for face in faces]
    for turn, roll in zip(turns, rolls, strict=True):
        assert abs(turn) * 0.3 <= abs(roll) <= abs(turn) * 1.5
        assert roll * turn >= 0


@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_a_mirrored_picture_turns_yaw_and_roll_around(
    service: RunningService, portraits: dict[str, bytes], name: str
) -> None:
    whole = Image.open(io.BytesIO(portraits[name])).convert("RGB")
    plain, mirrored = largest_faces(service, [encode(whole), encode(ImageOps.mirror(whole))])
    assert mirrored.pose.yaw == pytest.approx(-plain.pose.yaw, abs=TOLERANCE)
    assert mirrored.pose.roll == pytest.approx(-plain.pose.roll, abs=TOLERANCE)
    assert mirrored.pose.pitch == pytest.approx(plain.pose.pitch, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "number", "angle", "sign"),
    [
        ("Ariel_Sharon", 31, "yaw", -1),  # looks to the viewer's left
        ("Federico_Trillo", 1, "yaw", -1),
        ("George_W_Bush", 157, "yaw", 1),  # to the right
        ("Donald_Rumsfeld", 117, "yaw", 1),
        ("Farouk_Kaddoumi", 1, "pitch", -1),  # down, over his glasses
        ("Angelina_Jolie", 10, "pitch", -1),
        ("Joan_Claybrook", 1, "pitch", 1),  # up
        ("Chris_Reitsma", 1, "pitch", 1),
        ("John_Baldacci", 1, "roll", 1),  # leans to the viewer's right
        ("Harrison_Ford", 10, "roll", -1),
    ],
)
def test_photographs_that_were_looked_at_have_the_documented_signs(
    service: RunningService, lfw: Callable[[str, int], Path], name: str, number: int, angle: str, sign: int
) -> None:
    (face,) = largest_faces(service, [lfw(name, number).read_bytes()])
    assert sign * getattr(face.pose, angle) > (30 if angle == "yaw" else 5)


@pytest.mark.parametrize("enlarged", [0.5, 1, 4])
@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_blur_orders_a_face_of_any_size(
    service: RunningService, portraits: dict[str, bytes], name: str, enlarged: float
) -> None:
    whole = Image.open(io.BytesIO(portraits[name])).convert("RGB")
    whole = whole.resize((int(whole.width * enlarged), int(whole.height * enlarged)), Image.Resampling.LANCZOS)
    (face,) = largest_faces(service, [encode(whole)])
    blurs = [face.box.width * share for share in (0.008, 0.02, 0.05)]
    pictures = [encode(whole), *(encode(whole.filter(ImageFilter.GaussianBlur(radius))) for radius in blurs)]
    scores = [found.sharpness for found in largest_faces(service, pictures)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.6
    assert scores[0] - scores[2] > 0.1
    assert scores[0] - scores[3] > 0.3
