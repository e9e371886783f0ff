"""The clients that the document shows, unmodified, against the running service on the real Triton."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from contracts.aws import bench
from contracts.aws.callers import (
    Client,
    aws_requests_auth,
    botocore,
    curl,
    key_of,
    plain,
    question,
    similarity,
    threshold,
)
from running import RunningService

from visavis_proxy.credentials import Key

documented = pytest.mark.documented
MISMATCH = "The request signature we calculated does not match the signature you provided."

Lfw = Callable[[str, int], Path]
Scene = Callable[[str], Path]


def _example(name: str) -> pytest.MarkDecorator:
    return documented("aws", "example", f"include-deploy-code: {name}")


UNSIGNED = [
    pytest.param(plain, marks=_example("Python, NONE"), id="plain"),
    pytest.param(curl, marks=_example("cURL"), id="curl"),
]
SIGNED = [
    pytest.param(botocore, id="botocore"),
    pytest.param(aws_requests_auth, marks=_example("Python, AWS_IAM"), id="aws-requests-auth"),
]


@pytest.mark.parametrize("client", [*UNSIGNED, *SIGNED])
def test_portrait_is_answered(client: Client, service: RunningService, portraits: dict[str, bytes]) -> None:
    """Every client gets the face of a portrait, with 768 numbers and the documented version."""
    seen = client(service, question(portraits["hopper"]), key_of(service))
    assert (seen.status, seen.raised) == (200, None), seen.text
    (face,) = seen.answer["Faces"]
    assert len(face["face_hash"]) == 768
    assert 0.5 <= face["Confidence"] <= 1
    assert seen.answer["FaceModelVersion"] == "1.2.0"


@pytest.mark.parametrize("client", [*UNSIGNED, *SIGNED])
def test_several_faces_are_all_answered(client: Client, service: RunningService, scene: Scene) -> None:
    """A scene of eight people comes back with all of them, the surest first, each inside the picture."""
    seen = client(service, question(scene("compreface/016_8.jpg")), key_of(service))
    confidences = [face["Confidence"] for face in seen.answer["Faces"]]
    assert len(confidences) == 8
    assert confidences == sorted(confidences, reverse=True)
    assert all(-0.1 < face["BoundingBox"]["Left"] < 1 for face in seen.answer["Faces"])


@pytest.mark.parametrize("client", [*UNSIGNED, *SIGNED])
def test_picture_without_a_face(client: Client, service: RunningService, scene: Scene) -> None:
    """No face is no error to any client: neither in a scene without people nor on a grey wall."""
    for picture in (scene("compreface/017_0.jpg"), bench.draw(320, 240)):
        seen = client(service, question(picture), key_of(service))
        assert (seen.status, seen.text) == (200, '{"Faces": [], "FaceModelVersion": "1.2.0"}')


@pytest.mark.parametrize(
    "name",
    ["broken/corrupted.png", "broken/empty.png", "broken/truncated.jpg", "compreface/001_A.jpg"],
    ids=["corrupted", "empty", "truncated", "7360 px"],
)
def test_photograph_that_cannot_be_used(name: str, service: RunningService, scene: Scene) -> None:
    """A broken photograph and one of more than 4096 pixels are illegal, and no fault of the engine."""
    seen = plain(service, question(scene(name)), key_of(service))
    assert (seen.status, seen.text) == (400, "`parameter `img` illegal")


@pytest.mark.parametrize("client", [*UNSIGNED, *SIGNED])
def test_picture_that_is_none(client: Client, service: RunningService) -> None:
    """Text for a picture is a 400 in bare text, at which a client that parses JSON fails as at the vendor's."""
    seen = client(service, question(b"not a picture"), key_of(service))
    assert (seen.status, seen.text) == (400, "`parameter `img` illegal")
    assert seen.raised == (None if client is curl else "JSONDecodeError")


@pytest.mark.parametrize("client", [*UNSIGNED, *SIGNED])
def test_url_of_an_inside_network(client: Client, service: RunningService) -> None:
    """A url that points back at this machine is an illegal one."""
    seen = client(service, {"url": f"{service.url}/health/ready"}, key_of(service))
    assert (seen.status, seen.text) == (400, "`parameter `url` illegal")


@pytest.mark.parametrize("client", SIGNED)
def test_wrong_secret(client: Client, service: RunningService) -> None:
    """A wrong secret is told that the signatures differ, on loopback too, where none was needed."""
    seen = client(service, {"img": ""}, Key(id=service.key_id, secret="not the secret"))
    assert (seen.status, seen.raised) == (403, None)
    assert seen.answer["message"].startswith(MISMATCH)


@pytest.mark.parametrize("client", SIGNED)
def test_unknown_key(client: Client, service: RunningService) -> None:
    """A key that nobody knows is told so, and so is a disabled one."""
    for key in (
        Key(id="AKIDSTRANGER", secret="x"),
        Key(id=service.disabled_key_id, secret=service.disabled_secret),
    ):
        seen = client(service, {"img": ""}, key)
        assert (seen.status, seen.raised) == (403, None)
        assert seen.answer == {"message": "The security token included in the request is invalid."}


@pytest.mark.parametrize("client", SIGNED)
def test_throttled(client: Client, service: RunningService) -> None:
    """A key of one request a second: of several at once, all but the allowed ones are told so, as JSON."""
    slow = Key(id=service.slow_key_id, secret=service.slow_secret)
    # Signed by botocore, faster than the bucket fills; any of them may be the one that is due a second after another.
    seen = next(s for s in [botocore(service, {"img": ""}, slow) for _ in range(4)] if s.status == 429)
    if client is not botocore:
        seen = next((s for s in (client(service, {"img": ""}, slow) for _ in range(6)) if s.status == 429), seen)
    assert seen.answer == {"message": "Too Many Requests"}


def test_cosine_decides_as_the_other_contracts_do(service: RunningService, lfw: Lfw) -> None:
    """One person or two: a client's cosine against the published threshold, and Face++'s confidence, agree."""
    pictures = [lfw("George_W_Bush", 1), lfw("George_W_Bush", 2), lfw("Colin_Powell", 1), lfw("Colin_Powell", 2)]
    answers = [plain(service, question(picture), key_of(service)).answer for picture in pictures]
    for i, j in ((0, 1), (2, 3), (0, 2), (1, 3)):
        same = i // 2 == j // 2
        assert (similarity(answers[i], answers[j]) >= threshold(service, 1e-4)) == same
        assert _facepp_says_same(service, pictures[i], pictures[j]) == same


def _facepp_says_same(service: RunningService, probe: Path, reference: Path) -> bool:
    keys = {"api_key": service.key_id, "api_secret": service.secret}
    files = {"image_file1": probe.read_bytes(), "image_file2": reference.read_bytes()}
    answer = httpx.post(f"{service.url}/facepp/v3/compare", data=keys, files=files, timeout=30).json()
    return bool(answer["confidence"] >= answer["thresholds"]["1e-4"])


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "chunked"])
def test_body_of_12_mb(is_chunked: bool, service: RunningService) -> None:
    """A body over the limit is read to its end, so that its sender sees the 413 and may use the connection again."""
    piece = b" " * 1024 * 1024
    body = iter([piece] * 12) if is_chunked else piece * 12
    with httpx.Client(base_url=service.url, timeout=30) as http:
        answer = http.post("/prod/face_comparison", content=body)
        assert (answer.status_code, answer.json()) == (413, {"message": "Request Too Long"})
        assert http.post("/prod/face_comparison", content=b"7").text == "invalid param"


def test_chunked_request(service: RunningService, portraits: dict[str, bytes]) -> None:
    """A body without a length is read all the same, signed or not."""
    body = bench.as_json(question(portraits["hopper"]))
    url = f"{service.url}/prod/face_comparison"
    signed = bench.signed(body, key_of(service), url=url)
    for headers in ({}, signed):
        answer = httpx.post(url, content=iter([body[:100], body[100:]]), headers=headers, timeout=30)
        assert answer.status_code == 200
