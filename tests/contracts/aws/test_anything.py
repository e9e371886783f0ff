"""Whatever is sent, the answer is a documented one."""

from __future__ import annotations

import json
import math
from typing import Any

import schemathesis
from contracts.aws import bench
from contracts.aws.document import ERRORS
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

#: 502 and 504 need an engine that fails, 413 a large body, 429 many requests: none of them is due here.
BARE_STATUSES, GATEWAY_STATUSES = {400, 415}, {403}

CLIENTS = [bench.client(bench.services(settings=bench.settings(authorization=mode))) for mode in ("NONE", "AWS_IAM")]
PATHS = st.sampled_from(["/prod/face_comparison", "/face-comparison", "/prod/face-comparison-ml"])

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "img", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PICTURES = st.sampled_from([bench.FACE, bench.NO_FACE]).map(bench.img)
BODIES = st.binary(max_size=200) | VALUES.map(bench.as_json) | PICTURES.map(bench.as_json)

LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
AUTHORIZATION = LATIN | st.builds(
    "AWS4-HMAC-SHA256 Credential={}/{}/{}, SignedHeaders={}, Signature={}".format,
    st.just("testAccessKeyId") | LATIN,
    st.just("20261121") | LATIN,
    st.just("cn-northwest-1/execute-api/aws4_request") | LATIN,
    st.just("host;x-amz-date") | LATIN,
    st.just("0" * 64) | LATIN,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": AUTHORIZATION,
        "X-Amz-Date": st.just("20261121T032938Z") | LATIN,
        "Content-Type": st.just("application/json") | LATIN,
        "X-Amz-Content-Sha256": LATIN,
    },
)


@given(client=st.sampled_from(CLIENTS), path=PATHS, body=BODIES, headers=HEADERS)
@settings(max_examples=400, deadline=None)
def test_every_request_gets_a_documented_answer(client: Any, path: str, body: bytes, headers: dict[str, str]) -> None:
    """Never a 5xx, a hang or an undocumented shape, for arbitrary bodies and headers."""
    raw = {name: value.strip().encode("latin-1") for name, value in headers.items()}
    answer = client.post(path, content=body, headers=raw)
    assert answer.headers["content-type"] == "application/json"
    if answer.status_code == 200:
        assert_faces(answer.json())
    elif answer.status_code in BARE_STATUSES:
        assert answer.text in ERRORS.values()
    else:
        assert answer.status_code in GATEWAY_STATUSES
        assert list(answer.json()) == ["message"]
        assert answer.headers["x-amzn-errortype"].endswith("Exception")


def assert_faces(answer: dict[str, Any]) -> None:
    assert list(answer) == ["Faces", "FaceModelVersion"]
    for face in answer["Faces"]:
        assert list(face) == ["BoundingBox", "Confidence", "face_hash"]
        assert len(face["face_hash"]) == 768
        assert all(map(math.isfinite, (*face["face_hash"], *face["BoundingBox"].values(), face["Confidence"])))
    assert json.dumps(answer)


DESCRIPTION = schemathesis.openapi.from_asgi("/openapi.json", CLIENTS[0].app)


@DESCRIPTION.parametrize()
@settings(max_examples=25, deadline=None)
def test_service_answers_as_it_describes_itself(case: schemathesis.Case) -> None:
    """Requests made from our own OpenAPI, right and wrong ones, get a status and a label that it names."""
    answer = case.call()
    case.validate_response(answer, checks=[not_a_server_error, status_code_conformance, content_type_conformance])
    if answer.status_code not in BARE_STATUSES:
        case.validate_response(answer, checks=[response_schema_conformance])
