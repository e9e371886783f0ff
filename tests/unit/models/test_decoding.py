"""Every kind of file becomes the same upright RGB picture, or a clear error."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import cv2
import decoding
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

MAX_PIXELS = 1 << 26
WHOLE = (0, 0, 0, 0)


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, kind, **options)
    return sink.getvalue()


def decode(data: bytes, long_side: float = 1e9) -> decoding.Pixels:
    return decoding.decode(data, decoding.read_header(data, MAX_PIXELS), long_side)


@pytest.fixture(scope="module")
def gradient() -> Image.Image:
    y, x = np.mgrid[0:90, 0:120]
    return Image.fromarray(np.stack([2 * x, 2 * y, x + y], axis=2).astype(np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000"])
def test_every_format_gives_the_same_picture(gradient: Image.Image, kind: str) -> None:
    difference = np.abs(decode(encode(gradient, kind)).astype(int) - np.asarray(gradient))
    assert difference.mean() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_truncated_file_is_unreadable(gradient: Image.Image, kind: str, share: float) -> None:
    data = encode(gradient, kind)
    with pytest.raises(decoding.PictureUnreadable):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "1", "CMYK"])
def test_grey_palette_alpha_and_cmyk_come_out_as_rgb(gradient: Image.Image, mode: str) -> None:
    picture = gradient.convert(mode)
    got = decode(encode(picture, "TIFF" if mode == "CMYK" else "PNG"))
    assert np.abs(got.astype(int) - np.asarray(picture.convert("RGB"))).mean() < 2


def test_a_cmyk_jpeg_comes_out_as_rgb(gradient: Image.Image) -> None:
    picture = gradient.convert("CMYK")
    got = decode(encode(picture, "JPEG", quality=95))
    assert np.abs(got.astype(int) - np.asarray(picture.convert("RGB"))).mean() < 4


def test_transparency_lies_over_white() -> None:
    picture = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert (decode(encode(picture, "PNG")) == 255).all()


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(gradient: Image.Image, kind: str, channels: int) -> None:
    grey = np.asarray(gradient.convert("L"))
    wide = grey.astype(np.uint16) * 257
    if channels == 3:
        if kind == ".tiff":
            pytest.skip("Pillow reads no 16-bit RGB TIFF; no contract takes TIFF")
        wide = np.repeat(wide[:, :, None], 3, axis=2)
    got = decode(cv2.imencode(kind, wide)[1].tobytes())
    assert np.abs(got.astype(int) - grey[:, :, None]).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(gradient: Image.Image, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(gradient, kind, exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    header = decoding.read_header(data, MAX_PIXELS)
    got = decoding.decode(data, header, 1e9)
    assert header.upright == (wanted.shape[1], wanted.shape[0])
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).max() <= 3


def test_a_large_jpeg_is_reduced_no_further_than_asked(gradient: Image.Image) -> None:
    data = encode(gradient.resize((2400, 1800)), "JPEG")
    assert decode(data, 640).shape == (675, 900, 3)
    assert decode(data, 901).shape == (900, 1200, 3)
    assert decode(data, 1300).shape == (1800, 2400, 3)


@settings(max_examples=60)
@given(width=st.integers(1, 700), height=st.integers(1, 700), long_side=st.floats(1, 700))
def test_a_jpeg_is_decoded_into_the_room_that_its_header_asks_for(width: int, height: int, long_side: float) -> None:
    data = encode(Image.new("RGB", (width, height), "teal"), "JPEG")
    header = decoding.read_header(data, MAX_PIXELS)
    room = np.zeros(width * height * 3, np.uint8)
    got = decoding.decode(data, header, long_side, room)
    eighths = decoding.eighths_for(header, long_side)
    assert got.shape == (-(-height * eighths // 8), -(-width * eighths // 8), 3)
    assert np.shares_memory(got, room)
    assert (got == decoding.decode(data, header, long_side)).all()


def test_a_room_that_is_too_small_is_left_alone(gradient: Image.Image) -> None:
    data = encode(gradient, "JPEG")
    room = np.zeros(100, np.uint8)
    got = decoding.decode(data, decoding.read_header(data, MAX_PIXELS), 1e9, room)
    assert (got == decode(data)).all()
    assert not room.any()


def test_a_turn_is_read_wherever_its_segment_stands(gradient: Image.Image) -> None:
    exif = Image.Exif()
    exif[decoding.EXIF_ORIENTATION] = 6
    data = encode(gradient, "JPEG", exif=exif)
    large = b"\xff\xe2" + (65535).to_bytes(2, "big") + bytes(65533)
    for changed in (data[:2] + b"\xff\xff" + data[2:], data[:2] + large * 3 + data[2:]):
        assert decoding.read_header(changed, MAX_PIXELS).orientation == 6
    plain = encode(gradient, "JPEG")
    assert decoding.read_header(plain + data, MAX_PIXELS).orientation == 1, "what stands behind a picture is not of it"


def test_a_jpeg_of_many_scans_that_is_not_progressive_is_refused_too(gradient: Image.Image) -> None:
    data = encode(gradient.convert("RGB"), "JPEG")
    at = data.index(b"\xff\xda")
    one_colour = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    with pytest.raises(decoding.PictureUnreadable, match="scans"):
        decoding.read_header(data[:at] + one_colour * 5000, MAX_PIXELS)


def test_a_large_png_is_averaged_down_to_what_is_asked(gradient: Image.Image) -> None:
    large = gradient.resize((2400, 1800), Image.Resampling.BICUBIC)
    data = encode(large, "PNG")
    got = decode(data, 640)
    assert got.shape == (600, 800, 3)
    assert np.abs(got.astype(int) - np.asarray(large.resize((800, 600), Image.Resampling.BOX))).mean() < 1
    assert decode(data, 1300).shape == (1800, 2400, 3)


def test_a_jpeg_of_endless_scans_is_refused_at_once(gradient: Image.Image) -> None:
    data = encode(gradient, "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data).shape == (90, 120, 3)
    with pytest.raises(decoding.PictureUnreadable, match="scans"):
        decoding.read_header(data[:-2] + scan * 5000 + data[-2:], MAX_PIXELS)


def test_damaged_pixels_are_not_taken_for_a_cameras_habit(gradient: Image.Image) -> None:
    noisy = Image.effect_noise((400, 400), 60).convert("RGB")
    data = bytearray(encode(noisy, "JPEG", quality=90))
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    with pytest.raises(decoding.PictureUnreadable):
        decode(bytes(data))
    whole = encode(gradient, "JPEG")
    assert decode(whole[:-2] + b"\x01\x02\x03" + whole[-2:]).shape == (90, 120, 3)


def test_a_decompression_bomb_costs_no_memory() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**7)))
        + chunk(b"IEND", b"")
    )
    tracemalloc.start()
    with pytest.raises(decoding.PictureTooLarge, match="50000x50000"):
        decoding.read_header(bomb, MAX_PIXELS)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"\xff\xd8\xff\xe0" + bytes(99)]
)
def test_what_is_no_picture_is_unreadable(data: bytes) -> None:
    with pytest.raises(decoding.PictureUnreadable):
        decode(data)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000"]), data=st.data())
def test_damage_gives_a_picture_or_a_clear_error(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(encode(Image.linear_gradient("L").resize((32, 32)).convert("RGB"), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = decoding.read_header(bytes(damaged), 1 << 20)
        picture = decoding.decode(bytes(damaged), header, 640)
    except (decoding.PictureUnreadable, decoding.PictureTooLarge):
        return
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_bytes_behind_the_end_of_a_jpeg_do_no_harm(gradient: Image.Image) -> None:
    assert decode(encode(gradient, "JPEG") + b"a phone's own trailer").shape == (90, 120, 3)
