"""The vendor's own clients, unmodified, against the running service on the real Triton."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contracts.aliyun.callers import ACS, TEA_V2, TEA_V3, Client, question, thresholds, value
from PIL import Image
from running import RunningService

WRONG_SECRET_OF_ACS = "The AccessKeySecret is incorrect. Please check your AccessKeyId and AccessKeySecret."
SAME_AND_OTHER = (("George_W_Bush", 1), ("George_W_Bush", 2), ("Colin_Powell", 1))

Lfw = Callable[[str, int], Path]


#: With the exception that each raises for 4xx.
ALL = [
    pytest.param(ACS, "ServerException", id="acs"),
    pytest.param(TEA_V3, "ClientException", id="tea-v3"),
    pytest.param(TEA_V2, "ClientException", id="tea-v2"),
]
every_client = pytest.mark.parametrize(("client", "exception"), ALL)


@every_client
def test_success(client: Client, exception: str, service: RunningService, lfw: Lfw) -> None:
    """Two pictures of one person pass the threshold at a false match rate of 0.1%, two persons' do not."""
    bush, bush_again, powell = (value(lfw(*who)) for who in SAME_AND_OTHER)
    same, other = client.ask(service, question(bush, bush_again), question(bush, powell))
    for outcome in (same["answer"], other["answer"]):
        assert outcome["Code"] == "1"
        assert outcome["Success"] is True
    limit = thresholds(same["answer"])["0.001"]
    assert other["answer"]["Data"]["SimilarityScore"] < limit < same["answer"]["Data"]["SimilarityScore"]


@every_client
def test_portraits(client: Client, exception: str, service: RunningService, portraits: dict[str, bytes]) -> None:
    """The same with pictures that are always at hand."""
    hopper, astronaut = value(portraits["hopper"]), value(portraits["astronaut"])
    same, other = client.ask(service, question(hopper, hopper), question(hopper, astronaut))
    assert same["answer"]["Data"]["SimilarityScore"] > 99
    assert other["answer"]["Data"]["SimilarityScore"] < thresholds(other["answer"])["0.001"]


def chip_portrait(picture: bytes, box: tuple[int, int, int, int]) -> bytes:
    """As it comes from the chip of an ID card: 102x126 pixels, filled by the face."""
    encoded = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").crop(box).resize((102, 126)).save(encoded, "BMP")
    return encoded.getvalue()


@every_client
def test_id_chip(client: Client, exception: str, service: RunningService, portraits: dict[str, bytes]) -> None:
    """The face that fills an IDPic is found, and it is the person's."""
    chip = chip_portrait(portraits["astronaut"], (165, 62, 287, 213))
    (outcome,) = client.ask(service, question(value(portraits["astronaut"]), value(chip), "IDPic"))
    assert outcome["answer"]["Data"]["SimilarityScore"] > thresholds(outcome["answer"])["0.0001"]


def test_largest_face(service: RunningService, portraits: dict[str, bytes]) -> None:
    """Of two persons in one picture, the one who fills more of it is compared."""
    large, small = (Image.open(io.BytesIO(portraits[name])) for name in ("astronaut", "hopper"))
    scene = Image.new("RGB", (large.width + 256, large.height), (128, 128, 128))
    scene.paste(large, (0, 0))
    scene.paste(small.resize((200, 240)), (large.width + 20, 40))
    encoded = io.BytesIO()
    scene.save(encoded, "PNG")
    both = value(encoded.getvalue())
    questions = [question(value(portraits[name]), both) for name in ("astronaut", "hopper")]
    astronaut, hopper = (outcome["answer"] for outcome in TEA_V3.ask(service, *questions))
    assert astronaut["Data"]["SimilarityScore"] > thresholds(astronaut)["0.0001"]
    assert hopper["Data"]["SimilarityScore"] < thresholds(hopper)["0.01"]


@every_client
def test_no_face(client: Client, exception: str, service: RunningService, portraits: dict[str, bytes]) -> None:
    """Error.NoFaceDetected, raised with its status."""
    encoded = io.BytesIO()
    Image.new("RGB", (320, 240), (90, 120, 60)).save(encoded, "JPEG")
    (outcome,) = client.ask(service, question(value(portraits["hopper"]), value(encoded.getvalue())))
    assert raised(outcome) == (exception, "Error.NoFaceDetected", 400)
    assert "No face detected from given images." in outcome["message"]


@every_client
def test_bad_pictures(client: Client, exception: str, service: RunningService, portraits: dict[str, bytes]) -> None:
    """No picture, half a picture, an address inside the network: InvalidParam.ImageValuePatternError."""
    good = value(portraits["hopper"])
    questions = [
        question(good, value(b"no picture")),
        question(good, value(portraits["hopper"][:2000])),
        question(good, f"{service.url}/picture.jpg"),
        question(good, "/tmp/face.jpg"),
    ]
    for outcome in client.ask(service, *questions):
        assert raised(outcome) == (exception, "InvalidParam.ImageValuePatternError", 400)


@every_client
def test_missing_value(client: Client, exception: str, service: RunningService, portraits: dict[str, bytes]) -> None:
    """InvalidParam.ParamMissing, 403, with the vendor's spelling."""
    (outcome,) = client.ask(service, question(value(portraits["hopper"]), ""))
    assert raised(outcome) == (exception, "InvalidParam.ParamMissing", 403)
    assert "Please check if there is param empty in your imput." in outcome["message"]


@every_client
def test_unknown_and_disabled_key(client: Client, exception: str, service: RunningService) -> None:
    """Each with its own code and status."""
    (unknown,) = client.ask(service, question("x", "x"), key_id="nobody")
    (disabled,) = client.ask(
        service, question("x", "x"), key_id=service.disabled_key_id, secret=service.disabled_secret
    )
    assert raised(unknown) == (exception, "InvalidAccessKeyId.NotFound", 404)
    assert raised(disabled) == (exception, "InvalidAccessKeyId.Inactive", 400)


def test_wrong_secret_acs(service: RunningService, portraits: dict[str, bytes]) -> None:
    """The echo equals the client's own string to sign, megabytes of picture included, and it says what is wrong."""
    (outcome,) = ACS.ask(service, question(value(portraits["astronaut"]), value(portraits["hopper"])), secret="wrong")
    assert raised(outcome) == ("ServerException", "InvalidAccessKeySecret", 400)
    assert outcome["message"] == WRONG_SECRET_OF_ACS


@pytest.mark.parametrize(
    ("client", "words"),
    [(TEA_V3, "server StringToSign is [ACS3-HMAC-SHA256\n"), (TEA_V2, "server string to sign is:POST&%2F&AccessKeyId")],
    ids=["v3", "v2"],
)
def test_wrong_secret_tea(client: Client, words: str, service: RunningService) -> None:
    """SignatureDoesNotMatch with the echo of its scheme."""
    (outcome,) = client.ask(service, question("http://a.example", "http://b.example"), secret="wrong")
    assert raised(outcome) == ("ClientException", "SignatureDoesNotMatch", 400)
    assert words in outcome["message"]


@every_client
def test_throttled(client: Client, exception: str, service: RunningService, portraits: dict[str, bytes]) -> None:
    """A key of one request a second that sends several at once."""
    questions = [question("http://", "http://")] * 4
    outcomes = client.ask(service, *questions, key_id=service.slow_key_id, secret=service.slow_secret)
    assert (exception, "Throttling.User", 400) in map(raised, outcomes)
    told = next(outcome for outcome in outcomes if outcome["code"] == "Throttling.User")
    assert "Request was denied due to user flow control." in told["message"]


def test_larger_than_the_limit(service: RunningService) -> None:
    """Both kinds of client get to read the answer to a body of ten megabytes."""
    large = question("base64://" + "A" * 10_000_000, "http://b.example")
    for client, exception in ((ACS, "ServerException"), (TEA_V3, "ClientException")):
        (outcome,) = client.ask(service, large)
        assert raised(outcome) == (exception, "RequestEntityTooLarge", 413)


def test_acs_reads_xml(service: RunningService, portraits: dict[str, bytes]) -> None:
    """By do_action, which hands over the body of success and failure alike."""
    hopper = value(portraits["hopper"])
    good, bad = ACS.ask(service, question(hopper, hopper, format="XML"), question(hopper, "x", format="XML"))
    root = ET.fromstring(good["text"])
    assert (root.tag, root.findtext("Success"), root.findtext("Code")) == ("CompareFacesResponse", "true", "1")
    assert ET.fromstring(bad["text"]).findtext("Code") == "InvalidParam.ImageValuePatternError"


def test_acs_calls_the_versions_of_2018(service: RunningService, portraits: dict[str, bytes]) -> None:
    """By the untyped request, in body and query."""
    hopper = value(portraits["hopper"])
    posted, got = ACS.ask(
        service,
        question(hopper, hopper, version="2018-09-16", method="POST"),
        question("http://", "http://", version="2018-05-04", method="GET"),
    )
    assert posted["answer"]["Code"] == "1"
    assert raised(got) == ("ServerException", "InvalidParam.ImageValuePatternError", 400)


def raised(outcome: dict[str, Any]) -> tuple[str, str, int]:
    return outcome["raised"], outcome["code"], outcome["status"]
