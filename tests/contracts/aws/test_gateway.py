"""The gateway's manners: addresses, stages, methods, preflight, and the labels of every answer."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from contracts.aws import bench
from contracts.aws.bench import GOOD, post
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from visavis_proxy.contracts.aws.route import ENDPOINTS, router
from visavis_proxy.contracts.aws.settings import RESERVED_SEGMENTS, AwsSettings

JSON = {"Content-Type": "application/json"}
STAGED = [f"{prefix}/{endpoint}" for prefix in ("", "/prod") for endpoint in ENDPOINTS]


@pytest.mark.parametrize("path", STAGED)
def test_endpoint_in_every_spelling(path: str) -> None:
    """The document's path, the deployed one and the SageMaker one are answered, with the stage and without."""
    assert post(path=path, headers=JSON).status_code == 200


def test_stages_are_those_of_the_setting() -> None:
    """A configured stage is answered; one that is not is a path that the gateway does not know."""
    given = bench.settings(stages=("v1", "test-2"))
    assert post(path="/test-2/face_comparison", settings=given).status_code == 200
    assert post(path="/prod/face_comparison", settings=given).json() == {"message": "Missing Authentication Token"}


@pytest.mark.parametrize("stage", [*sorted(RESERVED_SEGMENTS), "", "a/b", "a b", "prod\n", "x" * 129])
def test_stage_that_cannot_be(stage: str) -> None:
    """A stage has API Gateway's letters, and is no other address of the service."""
    with pytest.raises(ValidationError):
        AwsSettings(stages=(stage,))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["/prod/face_comparison", "/face-comparison"])
def test_other_method(method: str, path: str) -> None:
    """Only POST and OPTIONS are deployed."""
    answer = bench.client().request(method, path)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize("path", ["/prod", "/prod/", "/prod/other", "/prod/face_comparison/", "/prod/a/b"])
def test_path_below_a_stage(path: str) -> None:
    """Whatever else lies below a stage is the gateway's unknown path, and never a redirect."""
    answer = bench.client().post(path, content=GOOD)
    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize(
    "path", ["/", "/facepp/v3/compare", "/facepp/v3/detect", "/jdai/faceCompareV1", "/health/ready", "/metrics", "/x/y"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_rooms_are_not_shadowed(path: str, method: str) -> None:
    """Included before everybody else, this room still takes nothing of theirs."""
    app = FastAPI(redirect_slashes=False)
    app.include_router(router(bench.services()))
    app.add_route(path, lambda _: PlainTextResponse("theirs"), methods=["GET", "POST"])
    assert bench.Client(app).request(method, path).text == "theirs"


@pytest.mark.parametrize("path", STAGED)
def test_preflight(path: str) -> None:
    """A browser may ask first, unsigned under AWS_IAM too, and is told what the stack allows."""
    given = bench.services(settings=bench.settings(authorization="AWS_IAM"))
    answer = bench.client(given).request("OPTIONS", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert {name: value for name, value in answer.headers.items() if name.startswith("access-control-")} == {
        "access-control-allow-headers": "Content-Type,X-Amz-Date,Authorization,X-Api-Key",
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST,OPTION",
        "access-control-allow-credentials": "true",
    }


@pytest.mark.parametrize("body", [GOOD, b""], ids=["success", "error"])
def test_answers_carry_cors_and_their_length(body: bytes) -> None:
    """A page of any origin can read every answer; Content-Length and the label stand on each."""
    answer = post(body)
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert uuid.UUID(answer.headers["x-amzn-requestid"])
    assert [answer.headers[f"access-control-allow-{what}"] for what in ("headers", "origin", "methods")] == ["*"] * 3


@pytest.mark.parametrize("label", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_sagemaker_flavour_takes_json(label: str) -> None:
    """The -ml flavour wants the label, in whichever case and with whichever parameters."""
    assert post(path="/face-comparison-ml", headers={"Content-Type": label}).status_code == 200


def test_sagemaker_flavour_without_a_label() -> None:
    """No Content-Type is not application/json."""
    answer = post(path="/face-comparison-ml")
    assert (answer.status_code, answer.text) == (415, "Only supports application/json data")


def test_body_of_10_mb_is_still_read() -> None:
    """The limit itself is allowed: 10485760 bytes."""
    padded = GOOD + b" " * (10 * 1024 * 1024 - len(GOOD))
    assert post(padded).status_code == 200


def test_description_names_every_endpoint() -> None:
    """The OpenAPI of the service lists each address once, with POST alone."""
    app = FastAPI()
    app.include_router(router(bench.services()))
    described = app.openapi()["paths"]
    assert sorted(described) == sorted(STAGED)
    assert {tuple(operations) for operations in described.values()} == {("post",)}


def test_body_that_never_ends() -> None:
    """A caller whose body stops half-way gets the gateway's time-out, once there is nobody to wait for."""
    app = bench.client().app
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/prod/face_comparison",
        "raw_path": b"/prod/face_comparison",
        "query_string": b"",
        "headers": [(b"content-length", b"1000")],
    }
    parts: list[Message] = [
        {"type": "http.request", "body": b'{"img":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 504
    assert sent[1]["body"] == b'{"message": "Endpoint request timed out"}'
