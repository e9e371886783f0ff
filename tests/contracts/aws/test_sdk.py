"""The clients that the document shows, unmodified, against the running service on the real Triton."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from contracts.aws import bench
from running import ROOT, RunningService
from sdk_environments import sdk_python

from visavis_proxy.credentials import Key

documented = pytest.mark.documented
REGION = "cn-northwest-1"
SAMPLE = Path(__file__).parent / "clients" / "document_sample.py"
MISMATCH = "The request signature we calculated does not match the signature you provided."

Lfw = Callable[[str, int], Path]
Scene = Callable[[str], Path]


@dataclass(frozen=True)
class Seen:
    """What a client saw, and what its own reading of the answer raised."""

    status: int
    text: str
    raised: str | None = None

    @property
    def answer(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.text)
        return loaded


#: A client: service, question, key.
Client = Callable[[RunningService, dict[str, str], Key], Seen]


def _read(response: httpx.Response) -> Seen:
    try:
        response.json()
    except json.JSONDecodeError:
        return Seen(response.status_code, response.text, "JSONDecodeError")
    return Seen(response.status_code, response.text)


def plain(service: RunningService, question: dict[str, str], key: Key) -> Seen:
    """The document's sample without authentication, in httpx's words."""
    headers = {"Content-Type": "application/json"}
    return _read(httpx.post(f"{service.url}/prod/face_comparison", content=bench.as_json(question), headers=headers))


def curl(service: RunningService, question: dict[str, str], key: Key) -> Seen:
    """The document's cURL sample for Linux; the status is appended, to be seen."""
    command = ["curl", "--silent", "--location", "--request", "POST", f"{service.url}/prod/face_comparison"]
    data = json.dumps(question, indent=2)
    # One argument holds 128 KiB at most; a larger picture needs curl's other way to say the same.
    command += ["--data-raw", data] if len(data) < 100_000 else ["--data-binary", "@-"]
    command += ["--header", "Content-Type: application/json", "--write-out", "\n%{http_code}"]
    done = subprocess.run(command, input=data, capture_output=True, text=True, check=True, timeout=60)
    text, _, status = done.stdout.rpartition("\n")
    return Seen(int(status), text)


def botocore(service: RunningService, question: dict[str, str], key: Key) -> Seen:
    """Signed by botocore, sent by httpx."""
    url, body = f"{service.url}/prod/face_comparison", bench.as_json(question)
    return _read(httpx.post(url, content=body, headers=bench.signed(body, key, url=url)))


def aws_requests_auth(service: RunningService, question: dict[str, str], key: Key) -> Seen:
    """The document's AWS_IAM sample, in an environment of its own."""
    names = {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret.get_secret_value()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    command = [str(sdk_python("aws")), str(SAMPLE), service.url, REGION]
    given = {"input": json.dumps(question), "env": environment | names}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, **given)
    return Seen(**json.loads(done.stdout))


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


def key_of(service: RunningService) -> Key:
    return Key(id=service.key_id, secret=service.secret)


def question(picture: Path | bytes) -> dict[str, str]:
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    return {"img": base64.b64encode(content).decode()}


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
    """A scene of several people comes back with all of them, the surest first, each inside the picture."""
    seen = client(service, question(scene("compreface/017_0.jpg")), key_of(service))
    confidences = [face["Confidence"] for face in seen.answer["Faces"]]
    assert len(confidences) > 1
    assert confidences == sorted(confidences, reverse=True)
    assert all(-0.1 < face["BoundingBox"]["Left"] < 1 for face in seen.answer["Faces"])


@pytest.mark.parametrize("client", [*UNSIGNED, *SIGNED])
def test_picture_without_a_face(client: Client, service: RunningService) -> None:
    """No face is no error to any client."""
    seen = client(service, question(bench.draw(320, 240)), key_of(service))
    assert (seen.status, seen.text) == (200, '{"Faces": [], "FaceModelVersion": "1.2.0"}')


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
    for _ in range(4):  # signed by botocore, faster than the bucket fills
        seen = botocore(service, {"img": ""}, slow)
    assert seen.status == 429
    if client is not botocore:
        seen = next((s for s in (client(service, {"img": ""}, slow) for _ in range(6)) if s.status == 429), seen)
    assert seen.answer == {"message": "Too Many Requests"}


def similarity(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Run the lines of docs/contracts/aws.md by which a client compares two answers."""
    page = (ROOT / "docs" / "contracts" / "aws.md").read_text("utf-8")
    names: dict[str, Any] = {"first": first, "second": second}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    return float(names["similarity"])


def test_cosine_decides_as_the_other_contracts_do(service: RunningService, lfw: Lfw) -> None:
    """One person or two: a client's cosine against the published threshold, and Face++'s confidence, agree."""
    pictures = [lfw("George_W_Bush", 1), lfw("George_W_Bush", 2), lfw("Colin_Powell", 1), lfw("Colin_Powell", 2)]
    answers = [plain(service, question(picture), key_of(service)).answer for picture in pictures]
    for i, j in ((0, 1), (2, 3), (0, 2), (1, 3)):
        same = i // 2 == j // 2
        assert (similarity(answers[i], answers[j]) >= threshold(1e-4)) == same
        assert _facepp_says_same(service, pictures[i], pictures[j]) == same


def threshold(false_match_rate: float) -> float:
    """The comparison score at that rate, as the service itself publishes it."""
    points = json.loads((ROOT / "model_repository" / "operating_points.json").read_text("utf-8"))["operating_points"]
    found: float = next(point["threshold"] for point in points if point["false_match_rate"] == false_match_rate)
    return found


def _facepp_says_same(service: RunningService, probe: Path, reference: Path) -> bool:
    keys = {"api_key": service.key_id, "api_secret": service.secret}
    files = {"image_file1": probe.read_bytes(), "image_file2": reference.read_bytes()}
    answer = httpx.post(f"{service.url}/facepp/v3/compare", data=keys, files=files).json()
    return bool(answer["confidence"] >= answer["thresholds"]["1e-4"])
