"""The clients that the document shows, unmodified, as functions; and what a caller does with two answers."""

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
from contracts.aws import bench
from running import ROOT, RunningService
from sdk_environments import sdk_python

from visavis_proxy.credentials import Key

REGION = "cn-northwest-1"
SAMPLE = Path(__file__).parent / "clients" / "document_sample.py"


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
    url = f"{service.url}/prod/face_comparison"
    return _read(httpx.post(url, content=bench.as_json(question), headers=headers, timeout=30))


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
    return _read(httpx.post(url, content=body, headers=bench.signed(body, key, url=url), timeout=30))


def aws_requests_auth(service: RunningService, question: dict[str, str], key: Key) -> Seen:
    """The document's AWS_IAM sample, in an environment of its own."""
    names = {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret.get_secret_value()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    command = [str(sdk_python("aws")), str(SAMPLE), service.url, REGION]
    given = {"input": json.dumps(question), "env": environment | names}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, **given)
    return Seen(**json.loads(done.stdout))


def key_of(service: RunningService) -> Key:
    return Key(id=service.key_id, secret=service.secret)


def question(picture: Path | bytes) -> dict[str, str]:
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    return {"img": base64.b64encode(content).decode()}


def similarity(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Run the lines of docs/contracts/aws.md by which a client compares two answers."""
    page = (ROOT / "docs" / "contracts" / "aws.md").read_text("utf-8")
    names: dict[str, Any] = {"first": first, "second": second}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    return float(names["similarity"])


def threshold(service: RunningService, false_match_rate: float) -> float:
    """The comparison score at that rate, as the service's own repository publishes it."""
    table = json.loads((service.model_repository / "operating_points.json").read_text("utf-8"))
    points = table["operating_points"]
    found: float = next(point["threshold"] for point in points if point["false_match_rate"] == false_match_rate)
    return found
