"""Whatever is sent, the answer is a documented one."""

from __future__ import annotations

import json

import httpx
from contracts.jdcloud.calling import PROBE, REFERENCE, Room, Signer, picture, text
from contracts.jdcloud.document import BUSINESS, GATEWAY, SYSTEM
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis_proxy.contracts.jdcloud.route import PATH

ROOM = Room()

TEXTS = st.text(max_size=20) | st.sampled_from([text(PROBE), text(REFERENCE), text(picture(1, 10, 10)), "data:,x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["imgBase64A", "imgBase64B", "requestId", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
QUESTIONS = st.fixed_dictionaries({"imgBase64A": TEXTS, "imgBase64B": TEXTS})
BODIES = st.binary(max_size=200) | (VALUES | QUESTIONS).map(lambda value: json.dumps(value).encode())
PICTURES = st.builds(
    lambda start, rest: json.dumps({"imgBase64A": text(start + rest), "imgBase64B": text(PROBE)}).encode(),
    st.sampled_from([b"BM", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\x89PNG\r\n\x1a\n", PROBE[:200]]),
    st.binary(max_size=100),
)

LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
AUTHORIZATION = LATIN | st.builds(
    "JDCLOUD{}-HMAC-SHA256 Credential={}/{}/{}, SignedHeaders={}, Signature={}".format,
    st.sampled_from("23") | LATIN,
    st.just(Signer().key_id) | LATIN,
    st.just("20261121") | LATIN,
    st.just("jdcloud-api/jdai/jdcloud2_request") | LATIN,
    st.just("host;x-jdcloud-date;x-jdcloud-nonce") | LATIN,
    st.just("0" * 64) | LATIN,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "authorization": AUTHORIZATION,
        "x-jdcloud-date": st.just("20261121T033000Z") | LATIN,
        "x-jdcloud-nonce": st.just("nonce") | LATIN,
        "x-jdcloud-content-sha256": LATIN,
        "x-jdcloud-security-token": LATIN,
        "content-type": LATIN,
    },
)


@given(body=BODIES | PICTURES)
@settings(max_examples=400, deadline=None)
def test_every_signed_body_gets_a_documented_answer(body: bytes) -> None:
    """A proven caller may send any bytes: the envelope comes back, with a documented code."""
    assert_envelope(ROOM.post(body))


@given(body=BODIES, headers=HEADERS, signed=st.booleans(), query=LATIN)
@settings(max_examples=400, deadline=None)
def test_every_header_gets_a_documented_answer(body: bytes, headers: dict[str, str], signed: bool, query: str) -> None:
    """Arbitrary headers, beside a signature or instead of one, never make more of it than a documented error."""
    given_headers = {name: value.strip() for name, value in headers.items()}
    if signed:
        given_headers = Signer().headers(body) | given_headers
    response = ROOM.send("POST", f"{PATH}?{query}", body, given_headers)
    if response.status_code == 200:
        assert_envelope(response)
    else:
        assert response.status_code == GATEWAY["UNAUTHENTICATED"]
        assert list(response.json()) == ["requestId", "error"]
        assert list(response.json()["error"]) == ["status", "code", "message"]


def assert_envelope(response: httpx.Response) -> None:
    assert response.status_code == 200
    envelope = response.json()
    assert list(envelope) == ["code", "charge", "remain", "remainTimes", "remainSeconds", "msg", "result", "requestId"]
    assert envelope["code"] in SYSTEM
    code = envelope["result"]["code"]
    assert envelope["charge"] is (code == 0)
    assert envelope["result"]["msg"] == (BUSINESS[code] if code else "Accept")
