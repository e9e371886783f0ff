"""Every error of WIRE.md §4.4 is produced by a request, with the exact words, status, label and type."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from contracts.aws import bench
from contracts.aws.bench import GOOD, PATH, post
from contracts.aws.document import ERRORS
from fakes import TEST_KEY
from httpx import Response

from visavis_client import errors as client_errors
from visavis_client.errors import EngineBusy, EngineFault, EngineTimeout, EngineUnavailable, VisavisError
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.contracts.aws.errors import ENGINE_ANSWERS
from visavis_proxy.credentials import Key
from visavis_proxy.fetch import FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge, Hold, unheld
from visavis_proxy.settings import Settings
from visavis_proxy.state import StateUnavailable

IAM = bench.settings(authorization="AWS_IAM")


@dataclass(frozen=True)
class Case:
    """One request that must end in one documented error."""

    name: str
    request: Callable[[], Response]
    status: int
    error_type: str | None = None


def url(value: str, **given: Any) -> Response:
    return post(bench.as_json({"url": value}), **given)


def failing(error: VisavisError) -> Response:
    return post(answers={bench.FACE: error})


def throttled() -> Response:
    """The second of two signed requests of a key that may call once a second; both within the same second."""
    slow = Key(id="slow", secret="slowSecret", qps=1)
    now = time.time()
    client = bench.client(bench.services(keys=[slow], clock=lambda: now))
    first, second = (client.post(PATH, content=GOOD, headers=bench.signed(GOOD, slow)) for _ in range(2))
    assert first.status_code == 200
    return second


def signed_with(key: Key, **given: Any) -> Response:
    return post(headers=bench.signed(GOOD, key), settings=IAM, **given)


STRANGER = Key(id="stranger", secret="strangerSecret")
FORGER = Key(id=TEST_KEY.id, secret="another secret")

CASES = (
    Case("body absent", lambda: post(b""), 400),
    Case("not JSON", lambda: post(b"url=https://pictures.example/face.jpg"), 400),
    Case("JSON number", lambda: post(b"7"), 400),
    Case("JSON null", lambda: post(b"null"), 400),
    Case("both url and img", lambda: post(bench.as_json({"url": bench.PICTURE_URL, **bench.img(bench.FACE)})), 400),
    Case("img absent", lambda: post(b'{"image": "AAAA"}'), 400),
    Case("img undecodable", lambda: post(bench.as_json(bench.img(b"no picture at all"))), 400),
    Case("url of unknown scheme", lambda: url("ftp://pictures.example/face.jpg"), 400),
    Case("url unfetchable", lambda: url("https://pictures.example/gone.jpg"), 400),
    Case("url undecodable", lambda: url("https://a.example", pictures={"https://a.example": b"<html>"}), 400),
    Case("JSON list body", lambda: post(b'["img", "AAAA"]'), 400),
    Case("JSON string body", lambda: post(b'"img"'), 400),
    Case(
        "-ml: wrong Content-Type",
        lambda: post(path="/prod/face-comparison-ml", headers={"Content-Type": "text/plain"}),
        415,
    ),
    Case("unknown path", lambda: post(path="/prod/face_detection"), 403, "MissingAuthenticationTokenException"),
    Case("wrong method", lambda: bench.client().request("GET", PATH), 403, "MissingAuthenticationTokenException"),
    Case("no credentials", lambda: post(settings=IAM), 403, "MissingAuthenticationTokenException"),
    Case("bad signature", lambda: signed_with(FORGER), 403, "InvalidSignatureException"),
    Case("unknown key", lambda: signed_with(STRANGER), 403, "UnrecognizedClientException"),
    Case(
        "expired",
        lambda: signed_with(TEST_KEY, clock=lambda: time.time() + 600),
        403,
        "InvalidSignatureException",
    ),
    Case("body > 10 MB", lambda: post(b" " * (10 * 1024 * 1024 + 1)), 413, "RequestTooLargeException"),
    Case("throttled", throttled, 429, "TooManyRequestsException"),
    Case("crash", lambda: failing(EngineFault("surprise")), 502, "InternalServerErrorException"),
    Case("timeout", lambda: failing(EngineTimeout("late")), 504, "InternalServerErrorException"),
)


def test_every_documented_error_has_a_request() -> None:
    """No error of the list is without a request that produces it."""
    assert sorted(case.name for case in CASES) == sorted(ERRORS)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=pytest.mark.documented("aws", "error", case.name)) for case in CASES],
)
def test_documented_error(case: Case) -> None:
    """The request ends in the documented error, word for word."""
    answer = case.request()
    words = answer.text if case.error_type is None else answer.json()["message"]
    assert answer.status_code == case.status
    assert words.startswith(ERRORS[case.name]) if case.name == "expired" else words == ERRORS[case.name]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get("x-amzn-errortype") == case.error_type
    assert answer.headers["access-control-allow-origin"] == "*"


def test_bare_text_is_no_json() -> None:
    """As with the vendor, a client that parses the text of a 400 fails: the label promises what the body is not."""
    with pytest.raises(json.JSONDecodeError):
        post(b"").json()


@pytest.mark.parametrize(
    "error", [FetchRefused("private"), FetchFailed("404"), FetchTooLarge("big"), FetchTimeout("slow")], ids=repr
)
def test_every_failure_to_fetch_is_an_illegal_url(error: Exception) -> None:
    """Whyever a picture cannot be fetched, the caller learns no more than that: no probe of inside networks."""
    answer = url("http://10.0.0.1/", pictures={"http://10.0.0.1/": error})
    assert (answer.status_code, answer.text) == (400, "`parameter `url` illegal")


def leaves(kind: type[VisavisError]) -> set[type[VisavisError]]:
    below = [child for child in kind.__subclasses__() if child.__module__ == client_errors.__name__]
    return set().union(*map(leaves, below)) if below else {kind}


def test_every_leaf_of_the_error_tree_has_a_row() -> None:
    """No error of the engine is without an answer of this room."""
    assert set(ENGINE_ANSWERS) == leaves(VisavisError)


def test_error_derived_from_a_leaf_is_answered_like_it() -> None:
    """A finer error of a later client falls to the row of what it is derived from."""

    class QueueFull(EngineBusy):
        """Finer than this room knows."""

    assert failing(QueueFull("finer")).status_code == 429


@pytest.mark.parametrize("leaf", ENGINE_ANSWERS, ids=lambda leaf: leaf.__name__)
@pytest.mark.parametrize("parameter", ["url", "img"])
def test_error_of_the_engine(leaf: type[VisavisError], parameter: str) -> None:
    """Each row of the table is what a request gets; the engine's own words stay inside."""
    body = GOOD if parameter == "img" else bench.as_json({"url": bench.PICTURE_URL})
    answer = post(body, answers={bench.FACE: leaf("the engine's own words")})
    expected = ENGINE_ANSWERS[leaf](parameter)  # type: ignore[arg-type]
    assert (answer.status_code, answer.text) == (expected.status, expected.body)
    assert "own words" not in answer.text


@pytest.mark.parametrize(
    ("error", "status"), [(EngineBusy(""), 429), (EngineUnavailable(""), 429), (EngineFault(""), 502)], ids=repr
)
def test_engine_that_cannot_answer(error: VisavisError, status: int) -> None:
    """Full and restarting are the gateway's throttling, a fault is its 502."""
    assert failing(error).status_code == status


def test_embedding_without_a_face_hash_is_a_crash() -> None:
    """A model whose embeddings are longer than 768 numbers cannot serve this contract, and says so with a 502."""
    answer = post(answers={bench.FACE: fake_analysis(fake_face(*(769 * [1.0])))})
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})


class DeadState:
    """A state store that cannot be reached."""

    async def take(self, bucket: str, per_second: float) -> bool:
        raise StateUnavailable("gone")


def test_state_that_cannot_be_reached() -> None:
    """Without the store nobody can say whether a key is within its rate: 502."""
    given = replace(bench.services(), state=DeadState())  # type: ignore[arg-type]
    answer = bench.client(given).post(PATH, content=GOOD, headers=bench.signed(GOOD))
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})


def test_engine_is_not_asked_after_an_error() -> None:
    """No refused request costs the engine anything."""
    engine = FakeEngine(bench.ANALYSES)
    given = replace(bench.services(), engine=engine, settings=Settings())
    for body in (b"", b"{}", b'{"img": "%%%"}', bench.as_json(bench.img(bench.draw(kind="GIF")))):
        bench.client(given).post(PATH, content=body)
    assert engine.asked == []


class StuckFetcher:
    """A fetcher that never comes back."""

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        await asyncio.Event().wait()
        return b""


def test_answer_that_takes_too_long() -> None:
    """Whatever holds a request up, it is answered within the time that its caller waits."""
    given = replace(bench.services(), settings=bench.settings(answer_within_s=0.05), fetcher=StuckFetcher())  # type: ignore[arg-type]
    answer = bench.client(given).post(PATH, content=bench.as_json({"url": bench.PICTURE_URL}))
    assert (answer.status_code, answer.json()) == (504, {"message": "Endpoint request timed out"})


class FaultyEngine:
    """An engine with a bug."""

    async def analyse(self, image: bytes, **_: object) -> None:
        raise LookupError(" ".join(("private", "words")))


def test_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is the gateway's crash to the caller, and a place, without the bug's own words, to the log."""
    answer = bench.client(replace(bench.services(), engine=FaultyEngine())).post(PATH, content=GOOD)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})
    assert "LookupError" in caplog.text
    assert "private words" not in caplog.text
