"""The vendor's own clients, unmodified, against the running service on the real Triton."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from contracts.jdcloud.callers import Client, Seen, apim, question, sdk, sdk_core
from contracts.jdcloud.calling import Signer, picture
from contracts.jdcloud.document import BUSINESS, SYSTEM
from running import RunningService

documented = pytest.mark.documented
Lfw = Callable[[str, int], Path]
Scene = Callable[[str], Path]

JDCLOUD_SDKS = [
    pytest.param(sdk, marks=documented("jdcloud", "example", "jdcloud-sdk"), id="jdcloud-sdk"),
    pytest.param(sdk_core, id="jdcloud-sdk-core"),
]
CLIENTS = [
    pytest.param(apim, marks=documented("jdcloud", "example", "jdcloud-apim-sdk"), id="jdcloud-apim-sdk"),
    *JDCLOUD_SDKS,
]
BAD_KEYS = [("testAccessKeyId", "wrong", "does not match"), ("stranger", "any", "unknown")]


def ask(client: Client, service: RunningService, *bodies: object) -> Seen:
    return client(service, bodies, service.key_id, service.secret)


def result_of(seen: dict[str, Any]) -> dict[str, Any]:
    """The result as any of the clients hands it to its caller."""
    assert "raised" not in seen, seen
    result: dict[str, Any] = seen["answer"]["result"] if "answer" in seen else seen["result"]
    return result


@pytest.mark.parametrize("client", CLIENTS)
def test_one_person_and_two(client: Client, service: RunningService, lfw: Lfw) -> None:
    """Two pictures of one person score above the document's strictest threshold, of two persons below its loosest."""
    bush, bush_again, powell = lfw("George_W_Bush", 1), lfw("George_W_Bush", 2), lfw("Colin_Powell", 1)
    same, other = ask(client, service, question(bush, bush_again), question(bush, powell))
    assert float(result_of(same)["score"]) > 0.58
    assert float(result_of(other)["score"]) < 0.49
    assert result_of(same)["faceItemsA"][0]["boundingBox"]["width"].count(".") == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_several_faces_are_listed_largest_first(client: Client, service: RunningService, scene: Scene) -> None:
    """A scene comes back with all its faces; it is compared with itself by the largest."""
    group = scene("compreface/000_5.jpg")
    (seen,) = ask(client, service, question(group, group))
    boxes = [item["boundingBox"] for item in result_of(seen)["faceItemsA"]]
    areas = [float(box["width"]) * float(box["height"]) for box in boxes]
    assert len(areas) == 5
    assert areas == sorted(areas, reverse=True)
    assert result_of(seen)["score"] == "1.00"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("code", "bad"),
    [(10, picture(128, 320, 240)), (4, b"not a picture"), (4, picture(128)[:400]), (2, picture(1, 47, 48)), (1, b"")],
)
def test_what_a_client_sees_of_a_bad_picture(
    client: Client, service: RunningService, portraits: dict[str, bytes], code: int, bad: bytes
) -> None:
    """No face, no picture, half a picture, too small a one, none at all: a result with the code, nothing raised."""
    (seen,) = ask(client, service, question(portraits["hopper"], bad))
    assert (result_of(seen)["code"], result_of(seen)["msg"]) == (code, BUSINESS[code])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_scene_without_people(client: Client, service: RunningService, scene: Scene) -> None:
    """A photograph in which nobody is: 10, whichever of the two it is."""
    nobody, group = scene("compreface/017_0.jpg"), scene("compreface/000_5.jpg")
    for seen in ask(client, service, question(nobody, group), question(group, nobody)):
        assert (result_of(seen)["code"], result_of(seen)["msg"]) == (10, "NoFaceDetected")


def test_documented_formats_of_one_picture(service: RunningService, scene: Scene) -> None:
    """One portrait as bmp, jpeg and png is the same person three times."""
    bmp, jpeg, png = (scene(f"broken/einstein.{name}") for name in ("bmp", "jpeg", "png"))
    for seen in ask(apim, service, question(bmp, jpeg), question(jpeg, png), question(png, bmp)):
        assert float(result_of(seen)["score"]) > 0.9


def test_a_body_given_as_text_is_encoded_twice(service: RunningService, portraits: dict[str, bytes]) -> None:
    """jdcloud-apim-sdk encodes text once more, as its own sample does; the answer is the same."""
    (seen,) = ask(apim, service, json.dumps(question(portraits["hopper"], portraits["hopper"])))
    assert result_of(seen)["score"] == "1.00"


def test_text_that_is_no_json(service: RunningService) -> None:
    """The SDK's body='' is a JSON string of nothing: 31."""
    (seen,) = ask(apim, service, "")
    assert (result_of(seen)["code"], result_of(seen)["msg"]) == (31, BUSINESS[31])


@pytest.mark.parametrize(("key_id", "secret", "message"), BAD_KEYS)
def test_bad_key_with_apim(service: RunningService, key_id: str, secret: str, message: str) -> None:
    """jdcloud-apim-sdk raises nothing and hands on the gateway's 401."""
    (seen,) = apim(service, [{}], key_id, secret)
    error = seen["answer"]["error"]
    assert (seen["status"], error["status"], error["code"]) == (401, "UNAUTHENTICATED", 401)
    assert message in error["message"]


@pytest.mark.parametrize("client", JDCLOUD_SDKS)
@pytest.mark.parametrize(("key_id", "secret", "message"), BAD_KEYS)
def test_bad_key_with_sdk(client: Client, service: RunningService, key_id: str, secret: str, message: str) -> None:
    """jdcloud-sdk raises nothing and fills its error with the gateway's."""
    (seen,) = client(service, [{"imgBase64A": ""}], key_id, secret)
    assert seen["result"] is None
    assert seen["request_id"]
    assert (seen["error"]["status"], seen["error"]["code"]) == ("UNAUTHENTICATED", 401)
    assert message in seen["error"]["message"]


def test_throttled_apim(service: RunningService) -> None:
    """Of five calls at once, a key of one call a second gets 10043 for most, in the envelope."""
    found = apim(service, [{}] * 5, service.slow_key_id, service.slow_secret)
    # Not for the last one by all means: a second after an earlier test's call another one is due.
    seen = next(one for one in found if one["answer"]["code"] == "10043")
    answer = seen["answer"]
    assert (seen["status"], answer["code"], answer["msg"]) == (200, "10043", SYSTEM["10043"])
    assert (answer["charge"], answer["result"]) == (False, None)


@pytest.mark.parametrize("client", JDCLOUD_SDKS)
def test_throttled_sdk(client: Client, service: RunningService) -> None:
    """jdcloud-sdk looks at neither code nor msg of the envelope: its caller sees a request id and nothing else."""
    found = client(service, [{"imgBase64A": ""}] * 5, service.slow_key_id, service.slow_secret)
    assert all(seen["request_id"] for seen in found)
    assert (None, None) in [(seen["result"], seen["error"]) for seen in found]


def test_disabled_key(service: RunningService) -> None:
    """A disabled key that proves itself is told so in the envelope."""
    (seen,) = apim(service, [{}], service.disabled_key_id, service.disabled_secret)
    assert (seen["status"], seen["answer"]["code"]) == (200, "10050")


def test_an_oversized_body_gets_its_answer(service: RunningService) -> None:
    """A client that sends more than the limit reads the gateway's 400, not a broken connection."""
    (seen,) = ask(apim, service, {"imgBase64A": "A" * (9 * 2**20)})
    assert (seen["status"], seen["answer"]["error"]["status"]) == (400, "OUT_OF_RANGE")


def test_a_nonce_of_one_connection_is_refused_on_another(service: RunningService) -> None:
    """A request as it was, sent again, is refused."""
    signer = Signer(
        key_id=service.key_id, secret=service.secret, now=time.time(), host=service.url.removeprefix("http://")
    )
    headers = signer.headers(b"{}")
    url = service.url + "/jdai/faceCompareV1"
    first, second = (httpx.post(url, content=b"{}", headers=headers, timeout=30) for _ in range(2))
    assert (first.status_code, first.json()["result"]["code"]) == (200, 1)
    assert (second.status_code, second.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
