"""业务错误码: every row produced by a request, and the limits behind the rows."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contracts.jdcloud.calling import PROBE, REFERENCE, Room, body_of, picture, text, two_of_one_person
from contracts.jdcloud.document import BUSINESS
from fakes import TEST_KEY

from visavis_client import errors as domain
from visavis_client.faces import BoundingBox, ModelIdentity, PictureAnalysis, Pose, Template
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings

documented = pytest.mark.documented

Answers = Mapping[bytes, PictureAnalysis | domain.VisavisError]
FACE = fake_face(1, 0)
FOREIGN = Template.from_embedding(np.asarray([1, 0], np.float32), ModelIdentity("another"))
NOBODY = fake_analysis()
BROKEN = domain.PictureUnreadable("truncated")
SMALL, LARGE = picture(10, 47, 100), picture(10, 100, 2049)
NOT_BASE64 = "data:image/jpeg;base64," + text(PROBE)
TOO_LONG = "A" * (2 * 1024 * 1024 + 1)


def body(probe: object, reference: object) -> bytes:
    return json.dumps({"imgBase64A": probe, "imgBase64B": reference}).encode()


def assert_business(envelope: dict[str, Any], code: int) -> None:
    """HTTP 200, "10000", nothing charged or counted; four keys in the result and no other."""
    assert (envelope["code"], envelope["charge"], envelope["msg"]) == ("10000", False, "查询成功")
    assert envelope["remain"] == envelope["remainTimes"] == TEST_KEY.daily_quota
    assert list(envelope["result"]) == ["code", "msg", "processTimeInMs", "timestamp"]
    assert (envelope["result"]["code"], envelope["result"]["msg"]) == (code, BUSINESS[code])


def row(code: int, name: str, *values: Any) -> Any:
    mark = documented("jdcloud", "error", f"{code} {BUSINESS[code]}")
    return pytest.param(code, *values, id=f"{code} {BUSINESS[code]}: {name}", marks=mark)


BY_BODY = [
    row(31, "empty", b""),
    row(31, "no JSON", b"imgBase64A=iVBORw0K"),
    row(31, "a list", b"[]"),
    row(31, "null", b"null"),
    row(31, "text that is no JSON", b'"hello"'),
    row(31, "text of text", json.dumps(json.dumps("{}")).encode()),
    row(31, "no UTF-8", b'{"imgBase64A": "\xff"}'),
    row(31, "too deep", b"[" * 100_000),
    row(1, "nothing", b"{}"),
    row(1, "A missing", json.dumps({"imgBase64B": text(REFERENCE)}).encode()),
    row(1, "B missing", json.dumps({"imgBase64A": text(PROBE)}).encode()),
    row(1, "the vendor's empty sample", b'{"imgBase64A":"","imgBase64B":""}'),
    row(1, "a number", body(5, text(REFERENCE))),
    row(1, "null", body(text(PROBE), None)),
    row(5, "A too long", body(TOO_LONG, text(REFERENCE))),
    row(5, "B too long", body(text(PROBE), TOO_LONG)),
    row(4, "a data: prefix", body(NOT_BASE64, text(REFERENCE))),
    row(4, "no Base64", body("$$$$", text(REFERENCE))),
    row(4, "no ASCII", body("人脸", text(REFERENCE))),
    row(4, "no picture", body(text(b"hello"), text(REFERENCE))),
    row(4, "a GIF", body(text(PROBE), text(picture(1, encoding="GIF")))),
    row(4, "a WebP", body(text(PROBE), text(picture(1, encoding="WEBP")))),
    row(4, "only a beginning", body(text(PROBE), text(REFERENCE[:12]))),
    row(2, "A too small", body(text(SMALL), text(REFERENCE))),
    row(2, "B too small", body(text(PROBE), text(SMALL))),
    row(3, "A too large", body(text(LARGE), text(REFERENCE))),
    row(3, "B too large", body(text(PROBE), text(LARGE))),
]


@pytest.mark.parametrize(("code", "sent"), BY_BODY)
def test_business_code_of_a_body(code: int, sent: bytes) -> None:
    """What is wrong with the body itself is found before any picture is looked into."""
    room = Room()
    assert_business(room.ask(sent), code)
    assert room.engine.asked == []


BY_ENGINE = [
    row(4, "A unreadable", {PROBE: BROKEN, REFERENCE: NOBODY}),
    row(4, "B unreadable", {PROBE: NOBODY, REFERENCE: BROKEN}),
    row(3, "too many pixels", {PROBE: fake_analysis(FACE), REFERENCE: domain.PictureTooLarge("x")}),
    row(10, "nobody in A", {PROBE: NOBODY, REFERENCE: fake_analysis(FACE)}),
    row(10, "nobody in B", {PROBE: fake_analysis(FACE), REFERENCE: NOBODY}),
    row(41, "the engine took too long", {PROBE: domain.EngineTimeout("x"), REFERENCE: fake_analysis(FACE)}),
    row(
        15,
        "templates of two models",
        {
            PROBE: fake_analysis(FACE),
            REFERENCE: fake_analysis(replace(FACE, template=FOREIGN)),
        },
    ),
    row(15, "no template", {PROBE: fake_analysis(replace(FACE, template=None)), REFERENCE: fake_analysis(FACE)}),
]


@pytest.mark.parametrize(("code", "answers"), BY_ENGINE)
def test_business_code_of_the_pictures(code: int, answers: Answers) -> None:
    """What the engine finds, or not, in the two pictures."""
    assert_business(Room(answers).ask(), code)


BLURRED = fake_analysis(replace(FACE, sharpness=0.29))
TURNED = fake_analysis(replace(FACE, pose=Pose(31, 0, 0)))


@pytest.mark.parametrize(
    ("code", "answers"),
    [
        row(11, "A blurred", {PROBE: BLURRED, REFERENCE: TURNED}),
        row(11, "B blurred", {PROBE: TURNED, REFERENCE: BLURRED}),
        row(12, "A turned", {PROBE: TURNED, REFERENCE: fake_analysis(FACE)}),
        row(12, "B turned", {PROBE: fake_analysis(FACE), REFERENCE: TURNED}),
    ],
)
def test_business_code_of_a_quality_setting(code: int, answers: Answers) -> None:
    """11 and 12 are answered where the settings ask for it, and by default the same pictures are compared."""
    strict = JdCloudSettings(min_blur_score=0.3, refuse_invalid_posture=True)
    assert_business(Room(answers, settings=strict).ask(), code)
    assert Room(answers).ask()["result"]["code"] == 0


def test_quality_is_asked_of_the_compared_face_alone() -> None:
    """A blurred, turned face in the background refuses nothing."""
    background = replace(fake_face(0, 1, width=20), sharpness=0.0, pose=Pose(90, 0, 0))
    answers = {PROBE: fake_analysis(FACE, background), REFERENCE: fake_analysis(FACE)}
    strict = JdCloudSettings(min_blur_score=0.3, refuse_invalid_posture=True)
    assert Room(answers, settings=strict).ask()["result"]["code"] == 0


class SlowEngine(FakeEngine):
    """Never answers."""

    async def analyse(
        self, image: bytes, *, max_faces: int = 1, region: BoundingBox | None = None, timeout_s: float | None = None
    ) -> PictureAnalysis:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits so long")


@documented("jdcloud", "error", "41 TimeoutException")
def test_business_code_41_at_the_deadline() -> None:
    """An engine that says nothing is not waited for beyond the deadline."""
    room = Room(settings=JdCloudSettings(deadline_s=0.05), change=lambda given: replace(given, engine=SlowEngine({})))
    assert_business(room.ask(), 41)


ORDER = [
    (31, b"[]"),
    (1, body(TOO_LONG, "")),
    (5, body("$", TOO_LONG)),
    (4, body(text(SMALL), "$")),
    (2, body(text(SMALL), text(LARGE))),
    (3, body(text(LARGE), text(SMALL))),
]


@pytest.mark.parametrize(("code", "sent"), ORDER)
def test_the_order_of_checks(code: int, sent: bytes) -> None:
    """31, 1, 5, 4, then 2 and 3: a check looks at both pictures before the next begins, at A first."""
    assert Room().ask(sent)["result"]["code"] == code


@documented("jdcloud", "field", "at least 48*48", "at most 2048*2048")
@pytest.mark.parametrize(
    ("width", "height", "code"),
    [(48, 48, 0), (47, 48, 2), (48, 47, 2), (2048, 2048, 0), (2049, 2048, 3), (2048, 2049, 3), (48, 2048, 0)],
)
def test_pixel_limits_are_inclusive(width: int, height: int, code: int) -> None:
    """48 and 2048 pixels are allowed, on either side."""
    image = picture(7, width, height, "PNG")
    room = Room({image: fake_analysis(FACE)})
    assert room.ask(body_of(image, image))["result"]["code"] == code


@documented("jdcloud", "field", "base64 at most 2MB")
def test_base64_of_two_mebibytes_is_allowed() -> None:
    """2 MiB of Base64 text is a picture's limit, and still allowed."""
    image = PROBE + b"\0" * (2 * 1024 * 1024 * 3 // 4 - len(PROBE))
    assert len(base64.b64encode(image)) == 2 * 1024 * 1024
    assert Room({image: fake_analysis(FACE)}).ask(body_of(image, image))["result"]["code"] == 0


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        pytest.param(name, encoding, marks=documented("jdcloud", "field", f"format {name}"), id=name)
        for name, encoding in [("bmp", "BMP"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("png", "PNG"), ("jfif", "JPEG")]
    ],
)
def test_documented_formats(name: str, encoding: str) -> None:
    """Each documented format is compared; a jfif is a jpg that says so in its first segment, as Pillow's do."""
    image = picture(3, encoding=encoding)
    assert (name != "jfif") or image[6:10] == b"JFIF"
    assert Room({image: fake_analysis(FACE)}).ask(body_of(image, image))["result"]["code"] == 0


def test_both_pictures_are_analysed_at_the_same_time() -> None:
    """Neither picture waits for the other."""
    room = Room(change=lambda given: replace(given, engine=MeetingEngine(two_of_one_person())))
    assert room.ask()["result"]["code"] == 0


class MeetingEngine(FakeEngine):
    """Answers only when two pictures are there."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(answers)
        self._both = asyncio.Event()

    async def analyse(
        self, image: bytes, *, max_faces: int = 1, region: BoundingBox | None = None, timeout_s: float | None = None
    ) -> PictureAnalysis:
        found = await super().analyse(image, max_faces=max_faces, region=region, timeout_s=timeout_s)
        if len(self.asked) == 2:
            self._both.set()
        await asyncio.wait_for(self._both.wait(), 5)
        return found


def test_nobody_waits_for_b_where_a_has_failed() -> None:
    """The answer is A's error as soon as it is known; the question about B is taken back."""
    taken_back: list[bytes] = []

    class EndlessReference(FakeEngine):
        async def analyse(
            self, image: bytes, *, max_faces: int = 1, region: BoundingBox | None = None, timeout_s: float | None = None
        ) -> PictureAnalysis:
            if image == PROBE:
                raise BROKEN
            try:
                await asyncio.sleep(60)
            finally:
                taken_back.append(image)
            raise AssertionError

    room = Room(
        change=lambda given: replace(given, engine=EndlessReference({})), settings=JdCloudSettings(deadline_s=5)
    )
    assert room.ask()["result"]["code"] == 4
    assert taken_back == [REFERENCE]
