"""返回说明: every field of the answer, held against the document's example."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from contracts.jdcloud.calling import NOW, PROBE, REFERENCE, Room, Signer, body_of, picture, text
from contracts.jdcloud.document import SHARED
from fakes import FAKE_POINTS

from visavis_client.faces import Pose
from visavis_client.fakes import fake_analysis, fake_face
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings, PostureLimits

documented = pytest.mark.documented

#: The keys of the document's example, in its order; None for a value.
EXAMPLE_FACE = {
    "blurScore": None,
    "boundingBox": {"height": None, "left": None, "top": None, "width": None},
    "isValidPosture": None,
    "posture": {"pitch": None, "roll": None, "yaw": None},
}
EXAMPLE_KEYS = {
    "code": None,
    "charge": None,
    "remain": None,
    "remainTimes": None,
    "remainSeconds": None,
    "msg": None,
    "result": {
        "code": None,
        "faceItemsA": [EXAMPLE_FACE],
        "faceItemsB": [EXAMPLE_FACE],
        "msg": None,
        "processTimeInMs": None,
        "score": None,
        "timestamp": None,
    },
}


def keys_of(value: object) -> Any:
    """The same shape without the values; dictionaries keep their order."""
    if isinstance(value, dict):
        return {key: keys_of(inner) for key, inner in value.items()}
    return [keys_of(inner) for inner in value] if isinstance(value, list) else None


def in_order(shape: object) -> str:
    """Equal only where keys stand in the same order."""
    return json.dumps(shape)


def answer_to_example(**settings: Any) -> dict[str, Any]:
    """The two pictures of the document's example: one face each, with the example's numbers."""
    probe = replace(
        fake_face(1, 0, left=365.02, top=20.81, width=102.35, height=133.65),
        sharpness=0.21,
        pose=Pose(yaw=-3.87, pitch=-4.59, roll=-9.92),
    )
    reference = replace(probe, box=replace(probe.box, left=365.01, height=133.64))
    answers = {PROBE: fake_analysis(probe), REFERENCE: fake_analysis(reference)}
    return Room(answers, settings=JdCloudSettings(**settings)).ask()


@documented("jdcloud", "example", "2、返回示例")
def test_the_example_of_the_document() -> None:
    """The example's faces give the example's answer: keys, order, types and texts; times and counts are our own."""
    envelope = answer_to_example(request_id_in_body=False)
    result = envelope["result"]
    assert isinstance(result.pop("processTimeInMs"), int)
    assert result.pop("timestamp") == round(NOW * 1000)
    face = {
        "blurScore": "0.21",
        "boundingBox": {"height": "133.65", "left": "365.02", "top": "20.81", "width": "102.35"},
        "isValidPosture": True,
        "posture": {"pitch": "-4.59", "roll": "-9.92", "yaw": "-3.87"},
    }
    other = face | {"boundingBox": face["boundingBox"] | {"height": "133.64", "left": "365.01"}}  # type: ignore[operator]
    assert envelope == {
        "code": "10000",
        "charge": True,
        "remain": 99_999,
        "remainTimes": 99_999,
        "remainSeconds": -1,
        "msg": "查询成功,扣费",
        "result": {"code": 0, "faceItemsA": [face], "faceItemsB": [other], "msg": "Accept", "score": "1.00"},
    }
    assert in_order(keys_of(answer_to_example(request_id_in_body=False))) == in_order(EXAMPLE_KEYS)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the documents are not beside this checkout")
def test_the_keys_are_those_of_the_document() -> None:
    """EXAMPLE_KEYS is the document's 返回示例."""
    written = re.search(r"```JSON\n(.*?)```", (SHARED / "jdcloud.md").read_text("utf-8"), re.DOTALL)
    assert written is not None
    assert in_order(keys_of(json.loads(written[1]))) == in_order(EXAMPLE_KEYS)


@documented("jdcloud", "field", "code", "msg", "result", "remainSeconds", "result.code", "result.msg")
def test_request_id_is_the_last_key_and_a_header() -> None:
    """The document's keys come first; requestId, which the vendor's SDK needs, stands behind them."""
    room = Room()
    response = room.post()
    envelope = response.json()
    assert list(envelope) == [*EXAMPLE_KEYS, "requestId"]
    assert response.headers["x-jdcloud-request-id"] == envelope["requestId"]
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (envelope["code"], envelope["remainSeconds"]) == ("10000", -1)
    assert (envelope["result"]["code"], envelope["result"]["msg"]) == (0, "Accept")


@documented("jdcloud", "error", "10000")
@documented("jdcloud", "field", "charge", "remain", "remainTimes")
def test_each_success_is_charged_and_a_business_error_is_not() -> None:
    """charge is true exactly with 扣费; remain and remainTimes count down on success alone."""
    room = Room()
    nobody = picture(60)
    seen = [room.ask(), room.ask(body_of(nobody, REFERENCE)), room.ask()]
    assert [(e["charge"], e["msg"], e["remain"], e["remainTimes"]) for e in seen] == [
        (True, "查询成功,扣费", 99_999, 99_999),
        (False, "查询成功", 99_999, 99_999),
        (True, "查询成功,扣费", 99_998, 99_998),
    ]


def test_the_day_ends_at_midnight_in_china() -> None:
    """The count begins anew at 16:00 UTC, and not before."""
    room = Room()
    room.now = NOW + 12.4 * 3600  # 15:54 UTC
    assert [room.ask()["remain"], room.ask()["remain"]] == [99_999, 99_998]
    room.now += 600
    assert room.ask()["remain"] == 99_999


@documented("jdcloud", "field", "result.processTimeInMs", "result.timestamp")
def test_times() -> None:
    """processTimeInMs is a small whole number of milliseconds; timestamp is the service's clock in milliseconds."""
    result = Room().ask()["result"]
    assert 0 <= result["processTimeInMs"] < 10_000
    assert result["timestamp"] == 1_795_231_800_000


@documented("jdcloud", "field", "result.faceItemsA", "result.faceItemsB")
def test_all_faces_are_listed_largest_first() -> None:
    """faceItemsA and faceItemsB hold every detected face of their picture, in the engine's order."""
    answers = {
        PROBE: fake_analysis(fake_face(1, 0, width=300), fake_face(0, 1, width=90), fake_face(0, 1, width=50)),
        REFERENCE: fake_analysis(fake_face(1, 0, width=200), fake_face(0, 1, width=80)),
    }
    result = Room(answers).ask()["result"]
    assert [item["boundingBox"]["width"] for item in result["faceItemsA"]] == ["300.00", "90.00", "50.00"]
    assert [item["boundingBox"]["width"] for item in result["faceItemsB"]] == ["200.00", "80.00"]
    assert result["score"] == "1.00"


@documented(
    "jdcloud",
    "field",
    "faceItem.boundingBox",
    "faceItem.boundingBox.left",
    "faceItem.boundingBox.top",
    "faceItem.boundingBox.width",
    "faceItem.boundingBox.height",
    "faceItem.posture",
    "faceItem.posture.yaw",
    "faceItem.posture.pitch",
    "faceItem.posture.roll",
    "faceItem.blurScore",
)
def test_a_face_item_takes_its_numbers_from_the_face() -> None:
    """Every number of a face item, none mistaken for another, as text with two decimals and no minus before a zero."""
    face = replace(
        fake_face(1, 0, left=-1.239, top=2.5, width=33.333, height=44),
        pose=Pose(11.58, -4.564, -0.001),
        sharpness=0.777,
    )
    item = Room({PROBE: fake_analysis(face), REFERENCE: fake_analysis(face)}).ask()["result"]["faceItemsA"][0]
    assert item == {
        "blurScore": "0.78",
        "boundingBox": {"height": "44.00", "left": "-1.24", "top": "2.50", "width": "33.33"},
        "isValidPosture": True,
        "posture": {"pitch": "-4.56", "roll": "0.00", "yaw": "11.58"},
    }


@documented("jdcloud", "field", "faceItem.isValidPosture")
@pytest.mark.parametrize(
    ("pose", "valid"),
    [
        (Pose(20, 15, 10), True),
        (Pose(-20, -15, -10), True),
        (Pose(20.1, 0, 0), False),
        (Pose(0, -15.1, 0), False),
        (Pose(0, 0, 10.1), False),
    ],
)
def test_is_valid_posture(pose: Pose, valid: bool) -> None:
    """isValidPosture compares every angle with its own limit, to either side."""
    turned = replace(fake_face(1, 0), pose=pose)
    settings = JdCloudSettings(posture_limits=PostureLimits(yaw=20, pitch=15, roll=10))
    room = Room({PROBE: fake_analysis(turned), REFERENCE: fake_analysis(turned)}, settings=settings)
    assert room.ask()["result"]["faceItemsB"][0]["isValidPosture"] is valid


def score_at(cosine: float) -> str:
    other = (cosine, (1 - cosine**2) ** 0.5)
    answers = {PROBE: fake_analysis(fake_face(1, 0)), REFERENCE: fake_analysis(fake_face(*other))}
    score: str = Room(answers).ask()["result"]["score"]
    return score


@documented("jdcloud", "field", "result.score")
@documented("jdcloud", "example", "score thresholds of three false match rates")
@pytest.mark.parametrize(("rate", "score"), [(1e-4, "0.49"), (1e-5, "0.54"), (1e-6, "0.58")])
def test_a_documented_threshold_has_its_false_match_rate(rate: float, score: str) -> None:
    """A comparison at our threshold for a false match rate scores what the document prints beside that rate."""
    assert score_at(FAKE_POINTS.threshold(rate)) == score


def test_the_ends_of_the_scale() -> None:
    """Identical faces score 1.00, opposite ones 0.00, and more alike is never less."""
    scores = [float(score_at(cosine)) for cosine in (-1, -0.5, 0, 0.3, 0.442, 0.522, 0.625, 0.8, 1)]
    assert scores[0] == 0
    assert scores[-1] == 1
    assert scores == sorted(set(scores))


@documented("jdcloud", "field", "imgBase64A", "imgBase64B")
def test_each_picture_goes_to_the_engine_as_it_came() -> None:
    """imgBase64A is the first picture and imgBase64B the second; of each one template is asked for."""
    room = Room()
    room.ask()
    assert room.engine.asked == [(PROBE, 1, None), (REFERENCE, 1, None)]


def test_a_body_that_the_sdk_encoded_twice_is_understood() -> None:
    """jdcloud-apim-sdk sends a JSON string of JSON when it is given text."""
    assert Room().ask(json.dumps(body_of().decode()).encode())["result"]["code"] == 0


def test_unknown_keys_are_ignored() -> None:
    """regionId may stand beside the pictures, as jdcloud-sdk sends it."""
    body = {"regionId": "cn-north-1", "imgBase64A": text(PROBE), "imgBase64B": text(REFERENCE)}
    assert Room().ask(json.dumps(body).encode())["result"]["code"] == 0


@documented("jdcloud", "field", "Authorization")
@pytest.mark.parametrize("version", ["2", "3"])
def test_both_signatures_are_accepted(version: str) -> None:
    """JDCLOUD2 and JDCLOUD3 lead to the same answer."""
    assert Room().ask(signer=Signer(version=version))["code"] == "10000"
