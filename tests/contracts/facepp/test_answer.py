"""返回值说明: every field of the answers, and the document's two examples."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from contracts.facepp import bench
from contracts.facepp.bench import ANNA, ANNA_AGAIN, BERTA, GROUP, KEY, NOBODY, client, files
from contracts.facepp.document import THRESHOLDS
from fakes import FAKE_POINTS

from visavis_client.comparison import ComparisonScore
from visavis_client.fakes import fake_analysis, fake_face
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import FACEPP
from visavis_proxy.contracts.facepp.answer import THRESHOLDS as PRINTED

documented = pytest.mark.documented
REQUEST_ID = r"\d{10},[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def answer_to(**given: Any) -> dict[str, Any]:
    answer = client().compare(**given)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    body: dict[str, Any] = answer.json()
    return body


@documented("facepp", "field", "request_id", "time_used", "confidence", "thresholds")
@documented("facepp", "field", *(f"thresholds.{rate}" for rate in THRESHOLDS))
@documented("facepp", "example", "成功请求返回值示例")
def test_example_of_success() -> None:
    """Two tokens are answered with the four keys of the example, in its order, thresholds in theirs, and no others."""
    caller = client()
    data = KEY | {"face_token1": caller.token(ANNA), "face_token2": caller.token(ANNA_AGAIN)}
    answer = caller.compare(data).json()
    assert list(answer) == ["time_used", "confidence", "thresholds", "request_id"]
    assert list(answer["thresholds"].items()) == [("1e-3", 65.3), ("1e-5", 76.5), ("1e-4", 71.8)]
    assert isinstance(answer["time_used"], int)
    assert re.fullmatch(REQUEST_ID, answer["request_id"])
    assert answer["confidence"] == round(answer["confidence"], 3)
    assert 0 <= answer["confidence"] <= 100


@documented("facepp", "field", "error_message")
@documented("facepp", "example", "失败请求返回值示例")
def test_example_of_failure() -> None:
    """The example's unknown token is answered with the example's three keys, its order and its words."""
    answer = client().compare(KEY | {"face_token1": "c2fc0ad7c8da3af5a34b9c70ff764da0", "face_token2": "x"})
    assert answer.status_code == 400
    assert list(answer.json()) == ["time_used", "error_message", "request_id"]
    assert answer.json()["error_message"] == "INVALID_FACE_TOKEN:c2fc0ad7c8da3af5a34b9c70ff764da0"


@documented("facepp", "example", "调用示例")
def test_example_call() -> None:
    """The curl call of the document, its fields in a multipart form, is answered."""
    caller = client()
    fields = {**KEY, "face_token1": caller.token(ANNA), "face_token2": caller.token(BERTA)}
    answer = caller.compare({}, files={name: (None, value) for name, value in fields.items()})
    assert answer.status_code == 200


@documented("facepp", "field", "image_id1", "image_id2")
def test_image_id() -> None:
    """A picture has an id of 16 bytes in base64, the same whenever it comes; a token has none."""
    first, again = answer_to(files=files(ANNA, BERTA)), answer_to(files=files(BERTA, ANNA))
    assert len(base64.b64decode(first["image_id1"], validate=True)) == 16
    assert first["image_id1"] == again["image_id2"] != first["image_id2"]
    caller = client()
    answer = caller.compare(KEY | {"face_token1": caller.token(ANNA)}, files=files(None, ANNA)).json()
    assert {"image_id1", "faces1"}.isdisjoint(answer)
    assert {"image_id2", "faces2"} <= set(answer)


@documented("facepp", "field", "faces1", "faces2", "face_token", "face_rectangle")
@documented("facepp", "field", *(f"face_rectangle.{side}" for side in ("top", "left", "width", "height")))
def test_faces() -> None:
    """All faces of a picture are told, the compared one first, each with a token and whole numbers for its place."""
    answer = answer_to(files=files(GROUP, ANNA_AGAIN))
    first, second = answer["faces1"]
    assert list(first) == ["face_token", "face_rectangle"]
    assert first["face_rectangle"] == {"top": 20, "left": 10, "width": 100, "height": 120}
    assert second["face_rectangle"] == {"top": 20, "left": 300, "width": 60, "height": 80}
    assert answer["faces2"][0]["face_rectangle"] == {"top": 31, "left": 12, "width": 100, "height": 120}
    tokens = [face["face_token"] for face in answer["faces1"] + answer["faces2"]]
    assert len(set(tokens)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens)


def test_rectangle_lies_inside_the_picture() -> None:
    """A detector's box that leaves the picture is clipped, so that it can be passed on as face_rectangle."""
    face = fake_face(left=-3.2, top=-5, width=50.1, height=500)
    caller = client(bench.services({ANNA: fake_analysis(face, width=60, height=80)}))
    (seen,) = caller.detect(files={"image_file": ANNA}).json()["faces"]
    assert seen["face_rectangle"] == {"top": 0, "left": 0, "width": 47, "height": 80}


def test_every_token_of_an_answer_can_be_used() -> None:
    """The token of each returned face stands for that face: of the second of a group for Berta."""
    caller = client()
    group = caller.compare(files=files(GROUP, ANNA)).json()["faces1"]
    data = KEY | {"face_token1": group[1]["face_token"]}
    assert caller.compare(data, files=files(None, BERTA)).json()["confidence"] > 76.5
    assert caller.compare(data, files=files(None, ANNA)).json()["confidence"] < 65.3


def test_the_engine_embeds_as_many_faces_as_are_returned() -> None:
    """max_faces limits both what is returned and what is paid for."""
    caller = client(bench.services(settings=bench.settings(max_faces=1)))
    assert len(caller.compare(files=files(GROUP, ANNA)).json()["faces1"]) == 1
    assert [most for _, most, _ in caller.asked] == [1, 1]


@documented("facepp", "field", "最小人脸像素尺寸")
def test_smallest_face() -> None:
    """A face below the smallest side that is set counts as not detected; by default there is none."""
    caller = client(bench.services(settings=bench.settings(min_face_px=61)))
    assert len(caller.compare(files=files(GROUP, ANNA)).json()["faces1"]) == 1
    assert bench.settings().facepp.min_face_px == 0


@pytest.mark.parametrize("pictures", [(NOBODY, ANNA), (ANNA, NOBODY), (NOBODY, NOBODY)])
def test_no_face(pictures: tuple[bytes, bytes]) -> None:
    """Without a face on either side there is an empty array, no confidence, no thresholds and no error."""
    answer = answer_to(files=files(*pictures))
    assert {"confidence", "thresholds", "error_message"}.isdisjoint(answer)
    for side, picture in enumerate(pictures, 1):
        assert len(answer[f"faces{side}"]) == (0 if picture is NOBODY else 1)
        assert answer[f"image_id{side}"]


def test_detect() -> None:
    """detect tells the picture's id and its faces, with tokens that compare takes."""
    caller = client()
    answer = caller.detect(files={"image_file": GROUP}).json()
    assert list(answer) == ["time_used", "image_id", "faces", "request_id"]
    assert len(answer["faces"]) == 2
    data = KEY | {"face_token1": answer["faces"][0]["face_token"], "face_token2": answer["faces"][1]["face_token"]}
    assert caller.compare(data).json()["confidence"] < 65.3
    assert caller.detect(files={"image_file": NOBODY}).json()["faces"] == []


def test_thresholds_are_where_the_scale_puts_their_rates() -> None:
    """A comparison score at the threshold of a false match rate has the confidence that stands beside that rate."""
    scale = ScoreScale(FAKE_POINTS, FACEPP)
    for rate, value in PRINTED.items():
        assert scale(ComparisonScore(FAKE_POINTS.threshold(float(rate)))) == value
    assert PRINTED["1e-3"] < PRINTED["1e-4"] < PRINTED["1e-5"]
