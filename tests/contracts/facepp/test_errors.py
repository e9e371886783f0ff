"""Both error tables: every row is produced by a request, with its status, its words and its shape."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from contracts.facepp import bench
from contracts.facepp.bench import ANNA, BERTA, FORMAL, KEY, PICTURE_URL, TRIAL_KEY, client, draw, files, text
from contracts.facepp.document import ERRORS, REASONS
from httpx import Response

from visavis_client import errors as client_errors
from visavis_client.errors import EngineBusy, EngineTimeout, EngineUnavailable, PictureTooLarge, RegionInvalid
from visavis_proxy import fetch
from visavis_proxy.contracts.facepp.errors import RAISED
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.fetch import FetchError, FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge
from visavis_proxy.images import Base64Invalid, PictureHeaderInvalid
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.state import StateUnavailable

documented = pytest.mark.documented
TOKEN = "c2fc0ad7c8da3af5a34b9c70ff764da0"
BOMB = draw(49, 49, "PNG") + bytes(2 * 2**20)


def with_url(error: FetchError) -> Response:
    """A call whose second picture cannot be fetched."""
    caller = client(bench.services(pictures={PICTURE_URL: error}))
    return caller.compare(KEY | {"image_url2": PICTURE_URL}, files=files(ANNA))


def with_engine(error: client_errors.VisavisError, **given: str) -> Response:
    """A call at whose second picture the engine fails."""
    return client(bench.services({ANNA: bench.ANALYSES[ANNA], BERTA: error})).compare(
        KEY | given, files=files(ANNA, BERTA)
    )


def with_key(**given: object) -> Response:
    """A call with a key that is not as usual."""
    key = Key.model_validate({"id": "formalKey", "secret": "formalSecret", **given})
    return client(bench.services(keys=(key,))).compare(files=files(ANNA, BERTA))


def throttled() -> Response:
    """The second of two calls in one second of a key of one."""
    caller = client(bench.services(keys=(FORMAL.model_copy(update={"qps": 1}),), clock=lambda: 1_800_000_000.0))
    assert caller.compare(files=files(ANNA, BERTA)).status_code == 200
    return caller.compare(files=files(ANNA, BERTA))


def twice() -> Response:
    """Two different values for one parameter."""
    return client().request("POST", bench.COMPARE, content=b"api_key=a&api_key=b", headers=FORM)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}

#: Row of the document: what brings it about, and its words on the wire.
ROWS: dict[str, list[tuple[Callable[[], Response], str]]] = {
    "INVALID_FACE_TOKEN: <face_token>": [
        (
            lambda: client().compare(KEY | {"face_token1": TOKEN}, files=files(None, ANNA)),
            f"INVALID_FACE_TOKEN:{TOKEN}",
        ),
    ],
    "IMAGE_ERROR_UNSUPPORTED_FORMAT: <param>": [
        (lambda: client().compare(files=files(b"no picture", ANNA)), "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file1"),
        (lambda: client().compare(files=files(ANNA, b"")), "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file2"),
        (
            lambda: client().compare(files=files(ANNA, draw(kind="BMP"))),
            "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file2",
        ),
        (
            lambda: client().compare(KEY | {"image_base64_1": "*"}, files=files(None, ANNA)),
            "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64_1",
        ),
        (
            lambda: client().compare(
                KEY | {"image_base64_2": f"data:image/jpeg;base64,{text(ANNA)}"}, files=files(ANNA)
            ),
            "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64_2",
        ),
        # Its header is good, and what follows is not: the engine finds out.
        (lambda: client().compare(files=files(draw(70, 70), ANNA)), "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file1"),
    ],
    "INVALID_IMAGE_SIZE: <param>": [
        (lambda: client().compare(files=files(draw(47, 60), ANNA)), "INVALID_IMAGE_SIZE: image_file1"),
        (lambda: client().compare(files=files(ANNA, draw(60, 4097))), "INVALID_IMAGE_SIZE: image_file2"),
        (lambda: with_engine(PictureTooLarge("too many pixels")), "INVALID_IMAGE_SIZE: image_file2"),
    ],
    "INVALID_IMAGE_URL: <param>": [
        (lambda: with_url(FetchFailed("404")), "INVALID_IMAGE_URL: image_url2"),
        (lambda: with_url(FetchRefused("127.0.0.1")), "INVALID_IMAGE_URL: image_url2"),
        (
            lambda: client().compare(KEY | {"image_url1": "nonsense"}, files=files(None, ANNA)),
            "INVALID_IMAGE_URL: image_url1",
        ),
    ],
    "IMAGE_FILE_TOO_LARGE: <param>": [
        (lambda: client().compare(files=files(ANNA, BOMB)), "IMAGE_FILE_TOO_LARGE: image_file2"),
        (
            lambda: client().compare(KEY | {"image_base64_1": text(BOMB)}, files=files(None, ANNA)),
            "IMAGE_FILE_TOO_LARGE: image_base64_1",
        ),
        (lambda: with_url(FetchTooLarge("2 MB")), "IMAGE_FILE_TOO_LARGE: image_url2"),
    ],
    "INSUFFICIENT_PERMISSION:<param>": [
        (
            lambda side=side: client().compare(
                TRIAL_KEY | {f"face_rectangle{side}": "1,2,3,4"}, files=files(ANNA, ANNA)
            ),
            f"INSUFFICIENT_PERMISSION: face_rectangle{side}",
        )
        for side in (1, 2)
    ],
    "IMAGE_DOWNLOAD_TIMEOUT: <param>": [
        (lambda: with_url(FetchTimeout("6 s")), "IMAGE_DOWNLOAD_TIMEOUT: image_url2"),
    ],
    "AUTHENTICATION_ERROR": [
        (lambda: client().compare(KEY | {"api_secret": "wrong"}), "AUTHENTICATION_ERROR"),
        (lambda: client().compare(KEY | {"api_key": "stranger"}), "AUTHENTICATION_ERROR"),
    ],
    "AUTHORIZATION_ERROR: <reason>": [
        *((lambda reason=reason: with_key(disabled=reason), f"AUTHORIZATION_ERROR: {reason}") for reason in REASONS),
        (lambda: with_key(contracts=(Contract.AWS,)), "AUTHORIZATION_ERROR: Denied by Admin"),
    ],
    "CONCURRENCY_LIMIT_EXCEEDED": [
        (throttled, "CONCURRENCY_LIMIT_EXCEEDED"),
        (lambda: with_engine(EngineBusy("full")), "CONCURRENCY_LIMIT_EXCEEDED"),
        (lambda: with_engine(EngineUnavailable("restarting")), "CONCURRENCY_LIMIT_EXCEEDED"),
    ],
    "MISSING_ARGUMENTS: <key>": [
        (lambda: client().compare({}), "MISSING_ARGUMENTS: api_key"),
        (lambda: client().compare({"api_key": "formalKey"}), "MISSING_ARGUMENTS: api_secret"),
        (
            lambda: client().compare(files=files(None, ANNA)),
            "MISSING_ARGUMENTS: image_url1, image_file1, face_token1, image_base64_1",
        ),
        (
            lambda: client().compare(files=files(ANNA)),
            "MISSING_ARGUMENTS: image_url2, image_file2, face_token2, image_base64_2",
        ),
        (lambda: client().detect(), "MISSING_ARGUMENTS: image_url, image_file, image_base64"),
    ],
    "BAD_ARGUMENTS: <key>": [
        *(
            (
                lambda text=text: client().compare(KEY | {"face_rectangle1": text}, files=files(ANNA, ANNA)),
                "BAD_ARGUMENTS: face_rectangle1",
            )
            for text in (
                "1,2,3",
                "1,2,3,4,5",
                "a,b,c,d",
                "1,2,0,4",
                "1,2,3,0",
                "-1,2,3,4",
                "1.5,2,3,4",
                "1, 2,3,4",
                "９,2,3,4",
                "1,2,3,4444444444",
            )
        ),
        (
            lambda: with_engine(RegionInvalid("outside"), face_rectangle2="5000,5000,9,9"),
            "BAD_ARGUMENTS: face_rectangle2",
        ),
        (
            lambda: client().compare(KEY | {"face_rectangle1": "480,0,9,9"}, files=files(ANNA, ANNA)),
            "BAD_ARGUMENTS: face_rectangle1",
        ),
        (lambda: client().compare(KEY | {"face_token1": "a" * 129}), "BAD_ARGUMENTS: face_token1"),
        (lambda: client().compare(KEY | {"image_url1": f"http://{'a' * 9000}"}), "BAD_ARGUMENTS: image_url1"),
        (
            lambda: client().request("POST", bench.COMPARE, content=b"api_key=%ff&api_secret=x", headers=FORM),
            "BAD_ARGUMENTS: api_key",
        ),
        (
            lambda: client().request(
                "POST", bench.COMPARE, content=b"--a\r\n", headers={"Content-Type": "multipart/form-data; boundary=a"}
            ),
            "BAD_ARGUMENTS: multipart/form-data",
        ),
    ],
    "COEXISTENCE_ARGUMENTS": [(twice, "COEXISTENCE_ARGUMENTS")],
    "Request Entity Too Large": [
        (lambda: client().compare(files=files(bytes(3 * 2**20), bytes(3 * 2**20))), "Request Entity Too Large"),
    ],
    "API_NOT_FOUND": [
        *(
            (lambda path=path: client().request("POST", path, data=KEY, files=files(ANNA)), "API_NOT_FOUND")
            for path in ("/facepp", "/facepp/", "/facepp/v3/compare/", "/facepp/v3/search", "/facepp/v4/compare")
        ),
        *(
            (lambda method=method: client().request(method, bench.COMPARE), "API_NOT_FOUND")
            for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS")
        ),
    ],
    "INTERNAL_ERROR": [
        (lambda: with_engine(EngineTimeout("8 s")), "INTERNAL_ERROR"),
        (lambda: with_engine(client_errors.EngineFault("odd")), "INTERNAL_ERROR"),
    ],
}
CASES = [
    pytest.param(row, bring_about, words, marks=documented("facepp", "error", row), id=f"{words[:60]}-{at}")
    for row, cases in ROWS.items()
    for at, (bring_about, words) in enumerate(cases)
]


@pytest.mark.parametrize(("row", "bring_about", "words"), CASES)
def test_error(row: str, bring_about: Callable[[], Response], words: str) -> None:
    """A request brings the row about: status and words of the document, three keys, and 413 as bare text."""
    answer = bring_about()
    assert answer.status_code == ERRORS[row]
    assert int(answer.headers["content-length"]) == len(answer.content)
    if row == "Request Entity Too Large":
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == words
        return
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error_message"] == words
    assert list(answer.json()) == ["time_used", "error_message", "request_id"]
    assert re.match(re.escape(row.partition(":")[0]), words)


def test_every_row_of_the_document_is_produced_by_a_request() -> None:
    """The cases above leave out no row of the document's two tables, and add none."""
    assert list(ROWS) == list(ERRORS)
    assert all(ROWS.values())


def leaves(root: type[Exception]) -> set[type[Exception]]:
    """The classes below, of the same package, that have none below them; who derives more is answered like them."""
    package = root.__module__.partition(".")[0]
    below = [kind for kind in root.__subclasses__() if kind.__module__.startswith(f"{package}.")]
    return set().union(*(leaves(kind) for kind in below)) if below else {root}


def test_every_error_of_a_neighbour_has_its_row() -> None:
    """Every leaf of the trees of client and fetcher, of pictures and of the state, is mapped, and nothing else."""
    neighbours = leaves(client_errors.VisavisError) | leaves(fetch.FetchError)
    assert set(RAISED) == neighbours | {Base64Invalid, PictureHeaderInvalid, RateExceeded, StateUnavailable}


def test_the_first_sides_error_is_the_one_that_is_told() -> None:
    """Where both pictures are at fault the answer is about the first, however often it is asked."""
    caller = client(bench.services(pictures={PICTURE_URL: FetchTimeout("6 s")}))
    for _ in range(5):
        answer = caller.compare(KEY | {"image_url1": PICTURE_URL}, files=files(None, b"nonsense"))
        assert answer.json()["error_message"] == "IMAGE_DOWNLOAD_TIMEOUT: image_url1"


def test_the_engine_is_not_asked_about_a_call_that_is_refused() -> None:
    """A fault of the second picture's file is found before the first is analysed."""
    caller = client()
    assert caller.compare(files=files(ANNA, b"nonsense")).status_code == 400
    assert not caller.asked


class BrokenState:
    """A store that cannot be reached, or one with a bug."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def take(self, bucket: str, per_second: float) -> bool:
        raise self._error


@pytest.mark.parametrize("error", [StateUnavailable("redis"), RuntimeError(f"bug near {text(ANNA)}")])
def test_a_fault_of_ours_is_an_internal_error(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever breaks, the answer is INTERNAL_ERROR, and the log repeats neither secrets nor pictures."""
    given = replace(bench.services(), state=BrokenState(error))  # type: ignore[arg-type]
    answer = client(given).compare(files=files(ANNA, ANNA))
    assert (answer.status_code, answer.json()["error_message"]) == (500, "INTERNAL_ERROR")
    assert "formalSecret" not in caplog.text
    assert text(ANNA) not in caplog.text
    if isinstance(error, RuntimeError):
        assert "RuntimeError" in caplog.text
