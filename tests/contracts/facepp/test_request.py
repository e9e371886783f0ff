"""请求参数: every parameter in every form, and which of several is used."""

from __future__ import annotations

import pytest
from contracts.facepp import bench
from contracts.facepp.bench import ANNA, ANNA_AGAIN, BERTA, KEY, TRIAL_KEY, client, files, text
from httpx import Response

from visavis_client.faces import BoundingBox
from visavis_client.fakes import fake_analysis, fake_face

documented = pytest.mark.documented

#: Between the two pictures of Anna, and between Anna and Berta.
ALIKE, UNLIKE = pytest.approx(94.81, abs=0.01), pytest.approx(47.69, abs=0.01)

SIDES = [1, 2]
FORMS = ["face_token", "image_file", "image_base64_", "image_url"]


def confidence(answer: Response) -> float:
    assert answer.status_code == 200, answer.text
    value: float = answer.json()["confidence"]
    return value


@documented("facepp", "field", "api_key", "api_secret", "image_file1", "image_file2")
def test_two_files() -> None:
    """Key and secret in the form and two files, as curl -F sends them, are compared."""
    assert confidence(client().compare(files=files(ANNA, ANNA_AGAIN))) == ALIKE
    assert confidence(client().compare(files=files(ANNA, BERTA))) == UNLIKE


def test_fields_that_the_call_does_not_know_are_ignored() -> None:
    """Even twice with different values; among them detect's names in a comparison."""
    twice = f"{bench.COMPARE}?sign=1&sign=2&image_url=a&image_url=b"
    answer = client().request("POST", twice, data=KEY | {"return_landmark": "1"}, files=files(ANNA, ANNA_AGAIN))
    assert confidence(answer) == ALIKE


@documented("facepp", "field", "image_base64_1", "image_base64_2")
def test_two_base64_texts_urlencoded() -> None:
    """Two base64 texts in an urlencoded form are compared, every + and / of theirs percent-encoded."""
    given = {"image_base64_1": text(ANNA), "image_base64_2": text(ANNA_AGAIN)}
    assert confidence(client().compare(KEY | given)) == ALIKE


def test_base64_with_line_breaks() -> None:
    """Base64 that is broken into lines, as the Unix command writes it, is read."""
    lines = "\r\n".join(text(ANNA)[at : at + 76] for at in range(0, len(text(ANNA)), 76))
    assert confidence(client().compare(KEY | {"image_base64_1": lines, "image_base64_2": text(ANNA_AGAIN)})) == ALIKE


@documented("facepp", "field", "image_url1", "image_url2")
def test_two_urls() -> None:
    """Pictures behind URLs are fetched and compared."""
    pictures = {"https://a.example/1.jpg": ANNA, "https://a.example/2.jpg": ANNA_AGAIN}
    given = dict(zip(("image_url1", "image_url2"), pictures, strict=True))
    assert confidence(client(bench.services(pictures=pictures)).compare(KEY | given)) == ALIKE


@documented("facepp", "field", "face_token1", "face_token2")
def test_two_tokens() -> None:
    """Tokens of an earlier answer are compared without any picture."""
    caller = client()
    given = {"face_token1": caller.token(ANNA), "face_token2": caller.token(ANNA_AGAIN)}
    assert confidence(caller.compare(KEY | given)) == ALIKE
    assert not caller.asked


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("at", range(len(FORMS)))
def test_token_before_file_before_base64_before_url(side: int, at: int) -> None:
    """Of all the forms given for a side the first of the document's order is used: the others do not even exist."""
    caller = client()
    used, ignored = FORMS[at], FORMS[at + 1 :]
    other = f"image_file{3 - side}"
    data, parts = dict(KEY), {other: ("x.jpg", ANNA_AGAIN)}
    for form, good in zip(FORMS, (caller.token(ANNA), ANNA, text(ANNA), bench.PICTURE_URL), strict=True):
        value = good if form == used else b"not a picture" if form == "image_file" else "nothing"
        if form == "image_file" and (form == used or form in ignored):
            parts[f"{form}{side}"] = ("x.jpg", value)  # type: ignore[assignment]
        elif form == used or form in ignored:
            data[f"{form}{side}"] = value  # type: ignore[assignment]
    assert confidence(caller.compare(data, files=parts)) == ALIKE


def test_a_file_may_come_as_a_text_part() -> None:
    """A value in a text part called image_file1, and base64 in a file part, are taken for what their names say."""
    parts = {"image_file1": (None, ANNA), "image_base64_2": ("x.txt", text(ANNA_AGAIN).encode())}
    assert confidence(client().compare(files=parts)) == ALIKE


@pytest.mark.parametrize("blank", [{"face_token1": ""}, {"image_base64_1": ""}, {"face_rectangle1": ""}])
def test_a_blank_parameter_is_none(blank: dict[str, str]) -> None:
    """An empty value counts as not given, and the next form is used."""
    assert confidence(client().compare(KEY | blank, files=files(ANNA, ANNA_AGAIN))) == ALIKE


def test_query_parameters_count_where_the_form_has_none() -> None:
    """Everything but files may stand in the query; a field of the form hides it there."""
    caller = client()
    query = {"api_key": "another", "api_secret": KEY["api_secret"], "face_token1": caller.token(ANNA)}
    answer = caller.compare({"api_key": KEY["api_key"], "face_token2": caller.token(ANNA_AGAIN)}, params=query)
    assert confidence(answer) == ALIKE


def test_captured_request_of_the_official_sdk() -> None:
    """A request as the official SDK writes it: a boundary that begins with dashes, parts without a type."""
    caller = client()
    fields = {"face_token1": caller.token(ANNA), "face_token2": caller.token(ANNA_AGAIN), **KEY}
    boundary = "------PylibFormBoundarynRtPpBUDF0cTH2S"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Connection": "close"}
    body = "".join(parts) + f"--{boundary}--\r\n"
    assert confidence(caller.request("POST", bench.COMPARE, content=body, headers=headers)) == ALIKE


@documented("facepp", "field", "face_rectangle1", "face_rectangle2")
@documented("facepp", "example", "face_rectangle: 70,80,100,100")
def test_rectangle_limits_the_search() -> None:
    """top,left,width,height: the face there is compared, at exactly that place, and no other is told."""
    there, larger = fake_face(1.0, 0.0, left=85, top=60, width=90, height=100), fake_face(0.0, 1.0, left=300)
    caller = client(bench.services({ANNA: fake_analysis(larger, there), BERTA: bench.ANALYSES[ANNA_AGAIN]}))
    data = KEY | {"face_rectangle1": "70,80,100,100", "face_rectangle2": "25,0,120,110"}
    answer = caller.compare(data, files=files(ANNA, BERTA))
    assert confidence(answer) == ALIKE
    (first,), (second,) = answer.json()["faces1"], answer.json()["faces2"]
    assert first["face_rectangle"] == {"top": 70, "left": 80, "width": 100, "height": 100}
    assert second["face_rectangle"] == {"top": 25, "left": 0, "width": 120, "height": 110}


def test_rectangle_is_searched_with_its_surroundings() -> None:
    """The engine sees a margin around the rectangle, cut at the picture's corner, in whole pixels."""
    caller = client(bench.services(settings=bench.settings(rectangle_margin=0.5)))
    data = KEY | {"face_rectangle1": "70,80,100,101", "face_rectangle2": "0,7,1,2"}
    assert caller.compare(data, files=files(ANNA, ANNA_AGAIN)).status_code == 200
    assert [region for _, _, region in caller.asked] == [BoundingBox(30, 20, 200, 202), BoundingBox(6, 0, 2, 3)]


@pytest.mark.parametrize("place", ["200,200,50,50", "20,10,49,120", "80,10,100,59"])
def test_face_that_lies_outside_the_rectangle(place: str) -> None:
    """A face that the margin shows, but of which less than half lies in the rectangle, is not told."""
    answer = client().compare(KEY | {"face_rectangle1": place}, files=files(ANNA, ANNA)).json()
    assert answer["faces1"] == []
    assert "confidence" not in answer


def test_rectangle_of_a_group_gives_one_face() -> None:
    """In a rectangle the largest face is the only one that is told."""
    answer = client().compare(KEY | {"face_rectangle1": "1,1,500,400"}, files=files(bench.GROUP, ANNA)).json()
    assert len(answer["faces1"]) == 1


@pytest.mark.parametrize("key", [KEY, TRIAL_KEY])
@pytest.mark.parametrize("rectangle", ["1,2,3,4", "nonsense"])
def test_rectangle_beside_a_token_is_ignored(key: dict[str, str], rectangle: str) -> None:
    """A rectangle counts only together with a picture."""
    caller = client()
    data = key | {"face_token1": caller.token(ANNA, key["api_key"]), "face_rectangle1": rectangle}
    assert confidence(caller.compare(data, files=files(None, ANNA_AGAIN))) == ALIKE


def test_detect_takes_file_base64_and_url() -> None:
    """detect knows the same three forms under its own names, in the same order."""
    caller = client()
    forms = {"image_file": ("x.jpg", ANNA)}
    for data, parts in (
        (KEY | {"image_base64": "no", "image_url": "no"}, forms),
        (KEY | {"image_base64": text(ANNA), "image_url": "no"}, None),
        (KEY | {"image_url": bench.PICTURE_URL}, None),
    ):
        answer = caller.detect(data, files=parts)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["faces"]) == 1
