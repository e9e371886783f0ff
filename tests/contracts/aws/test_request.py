"""The two request parameters, as both documents give them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from contracts.aws import bench
from contracts.aws.document import SHARED

from visavis_client.engine import MAX_FACES
from visavis_client.fakes import FakeEngine

documented = pytest.mark.documented
ILLEGAL_IMG, ILLEGAL_URL = "`parameter `img` illegal", "`parameter `url` illegal"


@documented("aws", "field", "img")
@documented("aws", "example", "aws.en.md: request with img", "aws.zh.md: request with img")
def test_example_request_with_img() -> None:
    """The second example, with a picture for its words, is answered."""
    body = json.dumps({"img": base64.b64encode(bench.FACE).decode()}, indent=2)
    answer = bench.client().post("/prod/face_comparison", content=body)
    assert (answer.status_code, len(answer.json()["Faces"])) == (200, 1)


@documented("aws", "field", "url")
@documented("aws", "example", "aws.en.md: request with url", "aws.zh.md: request with url")
def test_example_request_with_url() -> None:
    """The first example, with an address for its words, is answered: the picture behind it is fetched."""
    given = bench.services()
    answer = bench.client(given).post("/prod/face_comparison", content=json.dumps({"url": bench.PICTURE_URL}, indent=2))
    assert (answer.status_code, len(answer.json()["Faces"])) == (200, 1)
    assert given.fetcher.asked == [bench.PICTURE_URL]  # type: ignore[attr-defined]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the documents are not beside this checkout")
@pytest.mark.parametrize("name", ["aws.en.md", "aws.zh.md"])
@pytest.mark.parametrize("at", [0, 1], ids=["url", "img"])
def test_example_as_it_stands_is_read(name: str, at: int) -> None:
    """The documents' own bytes are JSON with one parameter; their placeholders are no pictures."""
    blocks = (SHARED / name).read_text("utf-8").split("``` json\n")[1:]
    body = blocks[at].partition("```")[0]
    (parameter,) = json.loads(body)
    answer = bench.client().post("/prod/face_comparison", content=body.encode())
    assert (answer.status_code, answer.text) == (400, f"`parameter `{parameter}` illegal")


@pytest.mark.parametrize("scheme", ["http", "https", "s3"])
def test_url_of_every_documented_protocol(scheme: str) -> None:
    """HTTP, HTTPS and S3 addresses are handed to the fetcher as they came."""
    url = f"{scheme}://bucket.example/a%20b.jpg?x=1"
    given = bench.services(pictures={url: bench.FACE})
    assert bench.client(given).post("/prod/face_comparison", json={"url": url}).status_code == 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("parameter", ["url", "img"])
def test_picture_of_every_documented_format(kind: str, parameter: str) -> None:
    """jpg, jpeg, png and bmp are accepted, told by their content."""
    picture = bench.draw(kind=kind)
    given = bench.services({picture: bench.ANALYSES[bench.FACE]}, pictures={bench.PICTURE_URL: picture})
    question = {"url": bench.PICTURE_URL} if parameter == "url" else bench.img(picture)
    assert bench.client(given).post("/prod/face_comparison", json=question).status_code == 200


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_picture_of_another_format(kind: str) -> None:
    """Another format is refused although the engine could read it."""
    picture = bench.draw(kind=kind)
    given = bench.services({picture: bench.ANALYSES[bench.FACE]})
    answer = bench.client(given).post("/prod/face_comparison", json=bench.img(picture))
    assert (answer.status_code, answer.text) == (400, ILLEGAL_IMG)


@pytest.mark.parametrize(
    ("width", "height", "status"), [(4096, 8, 200), (8, 4096, 200), (4097, 8, 400), (8, 4097, 400)]
)
def test_longest_side_does_not_exceed_4096_px(width: int, height: int, status: int) -> None:
    """4096 pixels are accepted, one more is not, in either direction."""
    picture = bench.draw(width, height)
    given = bench.services({picture: bench.ANALYSES[bench.FACE]})
    answer = bench.client(given).post("/prod/face_comparison", json=bench.img(picture))
    assert answer.status_code == status
    assert status == 200 or answer.text == ILLEGAL_IMG


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"true", "invalid param"),
        (b"1.5", "invalid param"),
        (b'{"img": "a"', "invalid param"),
        (b'\xef\xbb\xbf{"img": ""}', "invalid param"),
        (b"{}", ILLEGAL_IMG),
        (b"[]", ILLEGAL_IMG),
        (b'{"img": null}', ILLEGAL_IMG),
        (b'{"img": ""}', ILLEGAL_IMG),
        (b'{"img": ["a"]}', ILLEGAL_IMG),
        (b'{"url": 7}', ILLEGAL_URL),
        (b'{"url": ""}', ILLEGAL_URL),
        (b'{"url": null, "img": null}', "`url` and `img` cannot be used at the same time"),
    ],
)
def test_body_of_another_form(body: bytes, words: str) -> None:
    """What is no parameter gets the words for it; presence counts, not the value."""
    answer = bench.client().post("/prod/face_comparison", content=body)
    assert (answer.status_code, answer.text) == (400, words)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_body_is_read_whatever_its_label(content_type: str | None) -> None:
    """The document's AWS_IAM sample sends no Content-Type at all."""
    headers = {"Content-Type": content_type} if content_type else {}
    body = bench.as_json(bench.img(bench.FACE))
    answer = bench.client().post("/prod/face_comparison", content=body, headers=headers)
    assert answer.status_code == 200


def test_unknown_members_are_ignored() -> None:
    """A member that the document does not know changes nothing."""
    question = bench.img(bench.FACE) | {"threshold": 0.5}
    assert bench.client().post("/prod/face_comparison", json=question).status_code == 200


def test_engine_gets_the_picture_as_it_came() -> None:
    """One picture a call, undecoded, and a template for every face that the detector hands on."""
    engine = FakeEngine(bench.ANALYSES)
    given = replace(bench.services(), engine=engine)
    bench.client(given).post("/prod/face_comparison", json=bench.img(bench.TWO_FACES))
    assert engine.asked == [(bench.TWO_FACES, MAX_FACES, None)]
