"""The vendor's clients, unmodified, against the running service on the real Triton."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from contracts.facepp import bench
from contracts.facepp.callers import Arguments, Curl, PythonFacePp, side
from running import RunningService

Lfw = Callable[[str, int], Path]
Scene = Callable[[str], Path]


@pytest.fixture(scope="module")
def python_facepp(service: RunningService) -> PythonFacePp:
    return PythonFacePp(service)


@pytest.fixture(scope="module")
def curl(service: RunningService) -> Curl:
    return Curl(service)


@pytest.fixture
def rested(service: RunningService) -> RunningService:
    """The slow key's bucket is full."""
    time.sleep(1.1)
    return service


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, bytes]) -> dict[str, Path]:
    """Files: two portraits, a picture of nobody, none at all, one that is too small, one that is too large."""
    folder = tmp_path_factory.mktemp("pictures")
    contents = portraits | {
        "nobody": bench.draw(320, 240),
        "broken": b"not a picture",
        "small": bench.draw(40, 40),
        "large": bench.draw(64, 64, "PNG") + bytes(2 * 2**20),
        "huge": bytes(9 * 2**20),
    }
    paths = {name: folder / f"{name}.jpg" for name in contents}
    for name, path in paths.items():
        path.write_bytes(contents[name])
    return paths


def test_one_person_and_two(python_facepp: PythonFacePp, curl: Curl, lfw: Lfw) -> None:
    """Two photographs of one person are over the 1e-5 threshold, of two persons under the 1e-3 threshold."""
    same = lfw("George_W_Bush", 1), lfw("George_W_Bush", 2)
    other = lfw("George_W_Bush", 1), lfw("Hugh_Grant", 1)
    reads = ["confidence", "thresholds", "faces1", "time_used", "request_id", "image_id1"]
    mated, non_mated = python_facepp((side(*same), reads), (side(*other), reads))
    by_curl = [curl.answer(image_file1=first, image_file2=second) for first, second in (same, other)]
    for seen, answer in zip((mated, non_mated), by_curl, strict=True):
        assert seen["confidence"] == answer["confidence"]
        assert seen["image_id1"] == answer["image_id1"]
    assert mated["confidence"] > mated["thresholds"]["1e-5"]
    assert non_mated["confidence"] < non_mated["thresholds"]["1e-3"]


def test_portraits_of_two_persons(python_facepp: PythonFacePp, curl: Curl, pictures: dict[str, Path]) -> None:
    """Two persons' public-domain portraits do not match, one portrait twice does; base64 gives what a file gives."""
    reads = ["confidence", "thresholds", "image_id2"]
    hopper, astronaut = pictures["hopper"], pictures["astronaut"]
    text = base64.b64encode(astronaut.read_bytes()).decode()
    same, other, encoded = python_facepp(
        (side(hopper, hopper), reads),
        (side(hopper, astronaut), reads),
        ({"image_file1": str(hopper), "image_base64_2": text}, reads),
    )
    assert same["confidence"] > same["thresholds"]["1e-5"]
    assert other["confidence"] < other["thresholds"]["1e-3"]
    assert (encoded["confidence"], encoded["image_id2"]) == (other["confidence"], other["image_id2"])
    assert curl.answer(image_file1=hopper, image_file2=astronaut)["confidence"] == other["confidence"]


def test_tokens_of_every_face(python_facepp: PythonFacePp, curl: Curl, scene: Scene, pictures: dict[str, Path]) -> None:
    """Every token of a group's picture, of compare and of detect, stands for the face at its place."""
    group = scene("compreface/013_4.jpg")
    (seen,) = python_facepp((side(group, pictures["hopper"]), ["faces1"]))
    status, body = curl(bench.DETECT, image_file=group)
    detected = [face["face_token"] for face in json.loads(body)["faces"]]
    assert (status, len(detected)) == (200, len(seen["faces1"]))
    assert len(detected) > 2
    assert set(detected).isdisjoint(seen["faces1"])
    calls: list[tuple[Arguments, list[str]]] = [
        ({"face_token1": one, "face_token2": other}, ["confidence", "thresholds"])
        for one, other in zip(seen["faces1"], detected, strict=True)
    ]
    for compared in python_facepp(*calls):
        assert compared["confidence"] > compared["thresholds"]["1e-5"]
    others = curl.answer(face_token1=detected[0], face_token2=detected[1])
    assert others["confidence"] < others["thresholds"]["1e-5"]


def test_the_client_asks_detect_by_itself(python_facepp: PythonFacePp, pictures: dict[str, Path]) -> None:
    """Reading image1 where faces1 is empty makes python-facepp call detect, which answers with no face either."""
    assert python_facepp((side(pictures["nobody"], pictures["hopper"]), ["image1"])) == [{"image1": []}]


def test_no_face(python_facepp: PythonFacePp, curl: Curl, pictures: dict[str, Path]) -> None:
    """No face is an answer without confidence: the client complains when it is read, and not before."""
    given = side(pictures["nobody"], pictures["hopper"])
    seen, raised = python_facepp((given, ["image_id1", "faces2"]), (given, ["confidence"]))
    assert len(seen["faces2"]) == 1
    assert raised == {"raised": "ResourceAttrError"}
    answer = curl.answer(image_file1=pictures["nobody"], image_file2=pictures["hopper"])
    assert answer["faces1"] == []
    assert {"confidence", "thresholds", "error_message"}.isdisjoint(answer)


def test_rectangle(service: RunningService, curl: Curl, pictures: dict[str, Path]) -> None:
    """The rectangle that an answer told, passed on, finds the same face at the very same place; a trial key may not."""
    hopper = pictures["hopper"]
    answer = curl.answer(image_file1=hopper, image_file2=hopper)
    place = answer["faces1"][0]["face_rectangle"]
    given = ",".join(str(place[name]) for name in ("top", "left", "width", "height"))
    again = curl.answer(image_file1=hopper, image_file2=hopper, face_rectangle1=given)
    assert [face["face_rectangle"] for face in again["faces1"]] == [place]
    assert again["confidence"] > again["thresholds"]["1e-5"]
    trial = {"api_key": service.trial_key_id, "api_secret": service.trial_secret}
    status, body = curl(image_file1=hopper, image_file2=hopper, face_rectangle1=given, **trial)
    assert (status, json.loads(body)["error_message"]) == (403, "INSUFFICIENT_PERMISSION: face_rectangle1")


def test_bad_key(service: RunningService, python_facepp: PythonFacePp, curl: Curl, pictures: dict[str, Path]) -> None:
    """A wrong secret and a stranger are AuthenticationError; of a disabled key's 403 the client knows no name."""
    given = (side(pictures["hopper"], pictures["hopper"]), ["confidence"])
    for key, secret, raised in (
        (service.key_id, "wrong", "AuthenticationError"),
        ("stranger", "wrong", "AuthenticationError"),
        (service.disabled_key_id, service.disabled_secret, "UnknownError"),
    ):
        assert python_facepp(given, key=key, secret=secret)[0]["raised"] == raised
    status, body = curl(api_secret="wrong")
    assert (status, json.loads(body)["error_message"]) == (401, "AUTHENTICATION_ERROR")
    status, body = curl(api_key=service.disabled_key_id, api_secret=service.disabled_secret)
    assert (status, json.loads(body)["error_message"]) == (403, "AUTHORIZATION_ERROR: Denied by Client")


def test_bad_picture(python_facepp: PythonFacePp, curl: Curl, pictures: dict[str, Path]) -> None:
    """Each fault of a picture raises the client's exception for it; one of them is a bug of the client."""
    hopper = pictures["hopper"]
    url = "http://127.0.0.1:9/none.jpg"
    outcomes = python_facepp(
        (side(pictures["broken"], hopper), []),
        (side(hopper, pictures["small"]), []),
        (side(hopper, pictures["large"]), []),
        ({"image_file1": str(hopper), "image_url2": url}, []),
        ({"image_file1": str(hopper)}, []),
        ({"image_file1": str(hopper), "face_token2": "0" * 32}, []),
    )
    assert [outcome["raised"] for outcome in outcomes] == [
        "ImageErrorUnsupportedFormat",
        "InvalidImageSize",
        "TypeError",  # It makes its ImageFileTooLarge without the argument that this needs.
        "InvalidImageUrl",
        "MissingArguments",
        "InvalidFaceToken",
    ]
    assert [outcomes[0]["param"], outcomes[1]["param"]] == ["image_file1", "image_file2"]
    assert outcomes[4]["key"] == "image_url2, image_file2, face_token2, image_base64_2"
    assert outcomes[5]["face_token"] == "0" * 32
    status, body = curl(image_file1=hopper, image_file2=pictures["large"])
    assert (status, json.loads(body)["error_message"]) == (400, "IMAGE_FILE_TOO_LARGE: image_file2")


def test_truncated_pictures(curl: Curl, scene: Scene, pictures: dict[str, Path]) -> None:
    """Files whose header is good and whose rest is not are refused by name, and end nothing else."""
    for name in ("corrupted.png", "empty.png", "truncated.jpg"):
        status, body = curl(image_file1=pictures["hopper"], image_file2=scene(f"broken/{name}"))
        assert status == 200 or json.loads(body)["error_message"] == "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file2"


def test_too_large_a_request(python_facepp: PythonFacePp, curl: Curl, pictures: dict[str, Path]) -> None:
    """413 is plain text: curl, which was told to go on, shows it, and python-facepp fails to read it as JSON."""
    status, body = curl(image_file1=pictures["huge"], image_file2=pictures["huge"])
    assert (status, body) == (413, "Request Entity Too Large")
    (raised,) = python_facepp((side(pictures["huge"], pictures["huge"]), []))
    assert raised["raised"] == "JSONDecodeError"


def test_throttled(rested: RunningService, python_facepp: PythonFacePp, pictures: dict[str, Path]) -> None:
    """A key of one call a second: of several at once the first is answered, and the rest are told so."""
    call: tuple[Arguments, list[str]] = ({"image_base64_1": "*", "image_base64_2": "*"}, [])
    outcomes = python_facepp(call, call, call, call, key=rested.slow_key_id, secret=rested.slow_secret)
    raised = [outcome["raised"] for outcome in outcomes]
    assert raised[0] == "ImageErrorUnsupportedFormat"
    assert "ConcurrencyLimitExceeded" in raised[1:]
    assert set(raised) == {"ImageErrorUnsupportedFormat", "ConcurrencyLimitExceeded"}


def test_throttled_by_curl(rested: RunningService, curl: Curl) -> None:
    """The document's words for it."""
    slow = {"api_key": rested.slow_key_id, "api_secret": rested.slow_secret}
    answers = [curl(image_base64_1="*", image_base64_2="*", **slow) for _ in range(4)]
    refused = [(status, json.loads(body)["error_message"]) for status, body in answers]
    assert refused[0][0] == 400
    assert (403, "CONCURRENCY_LIMIT_EXCEEDED") in refused


def test_wrong_path(curl: Curl) -> None:
    """A call that does not exist is API_NOT_FOUND."""
    status, body = curl("/facepp/v3/search")
    assert (status, json.loads(body)["error_message"]) == (404, "API_NOT_FOUND")
