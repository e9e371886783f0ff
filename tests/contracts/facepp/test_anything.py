"""Whatever is sent, the answer is a documented one."""

from __future__ import annotations

import math
from typing import Any

from contracts.facepp import bench
from contracts.facepp.document import ERRORS, PARAMETERS
from hypothesis import given, settings
from hypothesis import strategies as st

CODES = {message.partition(":")[0]: status for message, status in ERRORS.items()}
CLIENT = bench.client()
PATHS = st.sampled_from([bench.COMPARE, bench.DETECT])
NAMES = st.sampled_from([*PARAMETERS, "image_url", "image_file", "image_base64", "face_rectangle", "unknown"])

PICTURES = st.sampled_from([bench.ANNA, bench.GROUP, bench.NOBODY])
VALUES = (
    PICTURES
    | PICTURES.map(bench.text).map(str.encode)
    | st.text(max_size=30).map(str.encode)
    | st.binary(max_size=60)
    | st.sampled_from([b"70,80,100,100", b"0,0,0,0", bench.PICTURE_URL.encode(), b"http://["])
)
KEYS = st.sampled_from([bench.KEY, bench.KEY, bench.TRIAL_KEY, {}])
FORM_DATA = st.dictionaries(NAMES, VALUES, max_size=6)
HEADERS = st.sampled_from(["multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "text/plain", ""])


@given(path=PATHS, key=KEYS, fields=FORM_DATA, as_file=st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_form_gets_a_documented_answer(
    path: str, key: dict[str, str], fields: dict[str, bytes], as_file: bool
) -> None:
    """Never a 5xx or an undocumented shape, for arbitrary values of the parameters."""
    parts = {name: ("x.jpg" if as_file else None, value) for name, value in fields.items() if name not in key}
    answer = CLIENT.request("POST", path, data=key, files=parts)
    assert_documented(answer)


@given(
    path=PATHS,
    kind=HEADERS | st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=30),
    body=st.binary(max_size=200),
)
@settings(max_examples=300, deadline=None)
def test_every_body_gets_a_documented_answer(path: str, kind: str, body: bytes) -> None:
    """Nor for arbitrary bytes under an arbitrary Content-Type, to a caller who knows a key."""
    answer = CLIENT.request(
        "POST", path, params=bench.KEY, content=body, headers={"Content-Type": kind.encode("latin-1")}
    )
    assert_documented(answer)


def assert_documented(answer: Any) -> None:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["time_used"] >= 0
    assert "," in body["request_id"]
    if answer.status_code == 200:
        assert "error_message" not in body
        assert math.isfinite(body.get("confidence", 0))
        assert ("confidence" in body) == ("thresholds" in body)
        return
    code = body["error_message"].partition(":")[0]
    assert answer.status_code == CODES[code] < 500
