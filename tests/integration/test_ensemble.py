"""The ensemble on the real Triton: every kind of picture has its own right answer."""

from __future__ import annotations

import asyncio
import io
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps
from running import RunningService

from visavis_client import BoundingBox, PictureAnalysis, compare
from visavis_client.errors import PictureTooLarge, PictureUnreadable, RegionInvalid, VisavisError
from visavis_client.faces import ModelIdentity
from visavis_client.triton import TritonEngine

T = TypeVar("T")
MODEL = ModelIdentity("under-test")


def ask(service: RunningService, work: Callable[[TritonEngine], Awaitable[T]]) -> T:
    """Run something against the engine in an event loop of its own."""

    async def run() -> T:
        engine = TritonEngine(service.grpc, model=MODEL, timeout_s=30)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def analyse(
    service: RunningService, data: bytes, *, max_faces: int = 1, region: BoundingBox | None = None
) -> PictureAnalysis:
    return ask(service, lambda engine: engine.analyse(data, max_faces=max_faces, region=region))


def encode(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    sink = io.BytesIO()
    picture.convert("RGB").save(sink, kind, **options)
    return sink.getvalue()


def picture_of(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def score(service: RunningService, one: bytes, other: bytes) -> float:
    async def both(engine: TritonEngine) -> Sequence[PictureAnalysis]:
        return await asyncio.gather(engine.analyse(one), engine.analyse(other))

    templates = [found.largest.template for found in ask(service, both) if found.largest]
    assert len(templates) == 2
    assert templates[0] is not None
    assert templates[1] is not None
    return compare(templates[0], templates[1]).value


def test_one_face_is_found_where_it_is(service: RunningService, portraits: dict[str, bytes]) -> None:
    found = analyse(service, portraits["astronaut"])
    assert (found.image_size.width, found.image_size.height) == (512, 512)
    assert len(found.faces) == 1
    face = found.faces[0]
    assert face.box.overlap(BoundingBox(175, 66, 98, 112)) > 0.8
    assert face.landmarks.left_eye == pytest.approx((205, 110), abs=8)
    assert face.landmarks.right_eye == pytest.approx((246, 110), abs=8)
    assert found.faces[0].template is not None
    assert found.faces[0].template.vector.size == 128


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "GIF"])
def test_every_format_gives_the_same_template(service: RunningService, portraits: dict[str, bytes], kind: str) -> None:
    assert score(service, portraits["astronaut"], encode(picture_of(portraits["astronaut"]), kind)) > 0.95


def test_mirrored_scaled_and_recompressed_portraits_match_and_strangers_do_not(
    service: RunningService, portraits: dict[str, bytes]
) -> None:
    for data in portraits.values():
        picture = picture_of(data)
        smaller = picture.resize((picture.width // 2, picture.height // 2))
        for changed in (ImageOps.mirror(picture), smaller, picture.rotate(12, expand=True)):
            assert score(service, data, encode(changed, quality=70)) > 0.6
    assert score(service, portraits["hopper"], portraits["astronaut"]) < 0.3


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photograph_is_seen_upright(
    service: RunningService, portraits: dict[str, bytes], orientation: int
) -> None:
    upright = picture_of(portraits["hopper"])
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's transpose that the EXIF value undoes
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = upright.transpose(Image.Transpose(back[orientation]))
    found = analyse(service, encode(turned, exif=exif, quality=95))
    plain = analyse(service, portraits["hopper"])
    assert found.image_size == plain.image_size
    assert found.faces[0].box.overlap(plain.faces[0].box) > 0.9


def test_a_picture_without_a_face_is_an_ordinary_answer(service: RunningService) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    for data in (
        encode(Image.fromarray(noise)),
        encode(Image.new("RGB", (1, 1))),
        encode(Image.new("L", (5000, 1)), "PNG"),
    ):
        assert analyse(service, data).faces == ()


def test_several_faces_come_largest_first_with_as_many_templates_as_asked(
    service: RunningService, portraits: dict[str, bytes]
) -> None:
    sheet = Image.new("RGB", (1400, 600), "grey")
    for left, size, name in ((0, 300, "astronaut"), (320, 560, "hopper"), (900, 420, "astronaut")):
        sheet.paste(ImageOps.fit(picture_of(portraits[name]), (size, size)), (left, 20))
    found = analyse(service, encode(sheet, quality=95), max_faces=2)
    assert len(found.faces) == 3
    areas = [face.box.area for face in found.faces]
    assert areas == sorted(areas, reverse=True)
    assert [face.template is not None for face in found.faces] == [True, True, False]
    assert analyse(service, encode(sheet), max_faces=0).faces[0].template is None


def test_a_region_limits_the_search_and_positions_stay_those_of_the_whole(
    service: RunningService, portraits: dict[str, bytes]
) -> None:
    sheet = Image.new("RGB", (1024, 512))
    sheet.paste(picture_of(portraits["astronaut"]), (0, 0))
    sheet.paste(picture_of(portraits["astronaut"]), (512, 0))
    data = encode(sheet, quality=95)
    both = analyse(service, data)
    assert len(both.faces) == 2
    found = analyse(service, data, region=BoundingBox(512, 0, 512, 512))
    assert len(found.faces) == 1
    assert max(found.faces[0].box.overlap(face.box) for face in both.faces) > 0.85
    assert found.faces[0].box.left > 600
    with pytest.raises(RegionInvalid):
        analyse(service, data, region=BoundingBox(2000, 0, 10, 10))


@pytest.mark.parametrize("share", [0.6, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_a_face_that_fills_the_frame_is_found(
    service: RunningService, portraits: dict[str, bytes], name: str, share: float
) -> None:
    whole = picture_of(portraits[name])
    face = analyse(service, portraits[name]).faces[0]
    side = face.box.height / share
    left, top = face.box.left + face.box.width / 2 - side / 2, face.box.top + face.box.height / 2 - side / 2
    close = whole.crop((round(left), round(top), round(left + side), round(top + side)))
    assert score(service, encode(close, quality=95), portraits[name]) > 0.6


def test_a_small_face_in_a_large_picture_keeps_its_detail(service: RunningService, portraits: dict[str, bytes]) -> None:
    sheet = Image.new("RGB", (2000, 1500), "grey")
    sheet.paste(picture_of(portraits["astronaut"]), (700, 500))
    assert score(service, encode(sheet, quality=95), portraits["astronaut"]) > 0.95


def huge_png() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_broken_pictures_have_their_own_errors(service: RunningService, portraits: dict[str, bytes]) -> None:
    for data in (b"", b"no picture", portraits["hopper"][:20_000], b"\xff\xd8\xff\xe0" + bytes(50)):
        with pytest.raises(PictureUnreadable):
            analyse(service, data)
    with pytest.raises(PictureTooLarge, match="60000x60000"):
        analyse(service, huge_png())


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("corrupted.png", False),
        ("empty.png", False),
        ("truncated.jpg", False),
        ("einstein.bmp", True),
        ("einstein.jpeg", True),
        ("einstein.png", True),
    ],
)
def test_the_broken_scenes(service: RunningService, scene: Callable[[str], Path], name: str, readable: bool) -> None:
    data = scene(f"broken/{name}").read_bytes()
    if readable:
        assert len(analyse(service, data).faces) == 1
    else:
        with pytest.raises(PictureUnreadable):
            analyse(service, data)


@pytest.mark.parametrize("name", ["compreface/017_0.jpg", "dlib/dogs.jpg"])
def test_scenes_without_a_person_have_no_face(service: RunningService, scene: Callable[[str], Path], name: str) -> None:
    assert analyse(service, scene(name).read_bytes()).faces == ()


@pytest.mark.parametrize("name", ["010_2", "011_3", "012_4", "013_4", "014_5", "000_5"])
def test_scenes_with_several_people(service: RunningService, scene: Callable[[str], Path], name: str) -> None:
    assert len(analyse(service, scene(f"compreface/{name}.jpg").read_bytes()).faces) == int(name[-1])


def test_good_and_bad_pictures_at_once_each_get_their_own_answer(
    service: RunningService, portraits: dict[str, bytes]
) -> None:
    blank = encode(Image.new("RGB", (320, 240), "navy"))
    kinds: list[bytes] = [portraits["hopper"], b"broken", blank, huge_png(), portraits["astronaut"]]
    asked = [kinds[number % len(kinds)] for number in range(100)]

    async def all_of_them(engine: TritonEngine) -> list[PictureAnalysis | BaseException]:
        return await asyncio.gather(*(engine.analyse(data) for data in asked), return_exceptions=True)

    alone = {name: analyse(service, portraits[name]) for name in portraits}
    for data, answer in zip(asked, ask(service, all_of_them), strict=True):
        if data == b"broken":
            assert isinstance(answer, PictureUnreadable)
        elif data == kinds[3]:
            assert isinstance(answer, PictureTooLarge)
        else:
            assert isinstance(answer, PictureAnalysis), answer
            if data == blank:
                assert answer.faces == ()
                continue
            wanted = alone["hopper" if data is kinds[0] else "astronaut"].faces[0]
            assert answer.faces[0].box.overlap(wanted.box) > 0.99
            assert answer.faces[0].template is not None
            assert wanted.template is not None
            assert compare(answer.faces[0].template, wanted.template).value > 0.999


def executions(service: RunningService) -> dict[str, tuple[int, int]]:
    """Of every model, when no more are added: an answer leaves Triton before it is counted there."""

    def read() -> dict[str, tuple[int, int]]:
        statistics = httpx.get(f"http://{service.http}/v2/models/stats", timeout=20).json()["model_stats"]
        return {model["name"]: (model["inference_count"], model["execution_count"]) for model in statistics}

    before, now = None, read()
    while before != now:
        time.sleep(0.2)
        before, now = now, read()
    return now


def test_batches_form_across_requests(service: RunningService, portraits: dict[str, bytes]) -> None:
    before = executions(service)

    async def many(engine: TritonEngine) -> None:
        await asyncio.gather(*(engine.analyse(portraits["hopper"]) for _ in range(64)))

    ask(service, many)
    after = executions(service)
    merged = {}
    for model in ("face_detector", "face_embedder"):
        inferred, executed = (now - then for now, then in zip(after[model], before[model], strict=True))
        assert inferred == 64
        merged[model] = executed < inferred
    # The detector's only where a card serves: on a core, frames in a batch take longer than one after the other.
    assert merged["face_embedder"]


@pytest.mark.parametrize("wrong", [b"\x00", b"GIF89a", b"BM" + bytes(60), b"II*\x00" + bytes(40), b"RIFF" + bytes(30)])
def test_fragments_of_formats_never_break_the_service(service: RunningService, wrong: bytes) -> None:
    with pytest.raises(VisavisError):
        analyse(service, wrong)
    assert ask(service, lambda engine: engine.ready())
