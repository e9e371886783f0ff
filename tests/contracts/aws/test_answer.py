"""The response parameters, as both documents give them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from contracts.aws import bench
from contracts.aws.document import SHARED

from visavis_client.comparison import compare
from visavis_client.fakes import fake_analysis, fake_face

documented = pytest.mark.documented

#: The documents' example without its ellipses, its face_hash cut to what is printed.
EXAMPLE_PARTS = (64.8125, -86.8125, -9.84375, 12.390625, 161.625, 4.8046875)
BOX = ("Width", "Height", "Left", "Top")


def ask(*faces: object, width: int = 640, height: int = 480, **aws: object) -> str:
    """The text of the answer about a picture with those faces."""
    given = bench.services({bench.FACE: fake_analysis(*faces, width=width, height=height)})  # type: ignore[arg-type]
    given = replace(given, settings=bench.settings(**aws))
    return bench.client(given).post("/prod/face_comparison", json=bench.img(bench.FACE)).text


def sure(confidence: float) -> object:
    return replace(fake_face(1.0, confidence), detection_score=confidence)


@documented("aws", "example", "aws.en.md: response", "aws.zh.md: response")
def test_example_response_has_our_shape() -> None:
    """Members, their order and the spaces between them are those of the example, read from the document's own bytes."""
    ours = json.loads(ask(fake_face(1.0), fake_face(2.0)))
    expected = {"Faces": 2 * [{"BoundingBox": dict.fromkeys(BOX), "Confidence": None, "face_hash": None}]}
    assert list(ours) == [*expected, "FaceModelVersion"]
    assert [list(face) for face in ours["Faces"]] == [list(face) for face in expected["Faces"]]
    assert [list(face["BoundingBox"]) for face in ours["Faces"]] == [list(BOX), list(BOX)]
    if SHARED.is_dir():
        for name in ("aws.en.md", "aws.zh.md"):
            block = (SHARED / name).read_text("utf-8").split("``` json\n")[3].partition("```")[0]
            theirs = json.loads(block.replace("..., ", ""))
            assert _shape(theirs) == _shape(ours)
            assert tuple(theirs["Faces"][0]["face_hash"]) == EXAMPLE_PARTS


def _shape(answer: dict[str, list[dict[str, object]]]) -> object:
    faces = [[(k, list(v) if isinstance(v, dict) else type(v)) for k, v in face.items()] for face in answer["Faces"]]
    return [(member, type(value)) for member, value in answer.items()], faces


def test_example_numbers_are_in_half_precision() -> None:
    """The numbers that the example prints are exact in half precision, as ours are."""
    assert all(float(np.float16(number)) == number for number in EXAMPLE_PARTS)


def test_spelling_is_that_of_the_solution() -> None:
    """One blank after every comma and colon, none elsewhere: how Python's json.dumps spells."""
    text = ask(fake_face(1.0, 2.0), fake_face(3.0, 4.0))
    assert text == json.dumps(json.loads(text))
    assert text.startswith('{"Faces": [{"BoundingBox": {"Width": ')


@documented("aws", "field", "Faces")
def test_faces_are_all_faces_of_the_picture() -> None:
    """Every face comes back, the surest first, those of equal Confidence in the engine's order."""
    faces = [sure(0.6), sure(0.9), sure(0.7), sure(0.95), sure(0.5)]
    answer = json.loads(ask(*faces))
    assert [face["Confidence"] for face in answer["Faces"]] == [0.95, 0.9, 0.7, 0.6, 0.5]


def test_no_face_is_an_ordinary_answer() -> None:
    """A picture without a face is answered with an empty list, byte for byte as the solution does."""
    assert ask() == '{"Faces": [], "FaceModelVersion": "1.2.0"}'


def test_face_below_the_least_confidence_is_left_out() -> None:
    """The solution's detector hands on nothing below 0.5; neither do we."""
    assert len(json.loads(ask(sure(0.49), sure(0.5)))["Faces"]) == 1
    assert len(json.loads(ask(sure(0.49), sure(0.5), min_confidence=0.4))["Faces"]) == 2


def test_face_without_a_template_is_left_out() -> None:
    """A face has a face_hash, or it is not listed: the document knows no face without one."""
    assert len(json.loads(ask(fake_face(1.0), replace(fake_face(1.0), template=None)))["Faces"]) == 1


@documented("aws", "field", "face_hash")
@pytest.mark.parametrize("length", [2, 128, 512, 767, 768])
def test_face_hash_has_768_numbers(length: int) -> None:
    """Whatever the model's length, there are exactly 768 numbers, each exact in half precision, not all of length 1."""
    embedding = np.random.default_rng(length).normal(0, 3, length)
    (face,) = json.loads(ask(fake_face(*embedding)))["Faces"]
    numbers = np.asarray(face["face_hash"])
    assert numbers.shape == (768,)
    assert np.array_equal(numbers.astype(np.float16).astype(np.float64), numbers)
    assert np.linalg.norm(numbers) == pytest.approx(np.linalg.norm(embedding), rel=1e-3)


def test_cosine_of_two_answers_is_the_comparison_score() -> None:
    """What a client computes from two answers is what this project calls the comparison score, to 1e-3."""
    random = np.random.default_rng(1)
    probe, reference = (fake_face(*random.normal(0, 1, 128)) for _ in range(2))
    a, b = (np.asarray(json.loads(ask(face))["Faces"][0]["face_hash"]) for face in (probe, reference))
    assert probe.template is not None
    assert reference.template is not None
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    assert cosine == pytest.approx(compare(probe.template, reference.template).value, abs=1e-3)


@documented(
    "aws",
    "field",
    "BoundingBox",
    "BoundingBox.Width",
    "BoundingBox.Height",
    "BoundingBox.Left",
    "BoundingBox.Top",
)
def test_bounding_box_is_fractions_of_the_picture() -> None:
    """Pixels divided by the picture's width or height, not clamped at its border."""
    face = fake_face(1.0, left=-16, top=120, width=160, height=380)
    (answer,) = json.loads(ask(face, width=320, height=480))["Faces"]
    assert answer["BoundingBox"] == {"Width": 0.5, "Height": 380 / 480, "Left": -0.05, "Top": 0.25}


@documented("aws", "field", "Confidence")
def test_confidence_is_the_detection_score() -> None:
    """A float between 0 and 1: how sure the detector is of the face, no similarity."""
    text = ask(sure(0.8736226558685303))
    assert re.search(r'"Confidence": 0\.8736226558685303, ', text)


@documented("aws", "field", "FaceModelVersion")
def test_face_model_version_is_the_documents() -> None:
    """The literal of the document, 1.2.0, unless it is set otherwise."""
    assert json.loads(ask())["FaceModelVersion"] == "1.2.0"
    assert json.loads(ask(face_model_version="2,0:b"))["FaceModelVersion"] == "2,0:b"
