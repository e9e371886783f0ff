"""The proxy knows a picture's format and size from its header, and base64 from everything else."""

from __future__ import annotations

import base64
import io
import struct
import sys
import zlib
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visavis_proxy import images
from visavis_proxy.images import (
    MAX_JPEG_SCANS,
    MAX_JPEG_SEGMENTS,
    Base64Invalid,
    PictureHeader,
    PictureHeaderInvalid,
    decode_base64,
    inspect,
)


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (60, 50), **options: object) -> bytes:
    sink = io.BytesIO()
    Image.new(mode, size, 1).save(sink, kind, **options)
    return sink.getvalue()


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def lines_run(data: bytes) -> int:
    """How many lines of the module run for a picture, told or refused: the same on every machine, unlike its time."""
    count, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename == images.__file__ else None

    sys.settrace(trace)
    try:
        inspect(data)
    except PictureHeaderInvalid:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("BMP", "RGB")]
)
def test_format_and_size_come_from_the_header(kind: str, mode: str) -> None:
    assert inspect(encoded(kind, mode)) == PictureHeader(kind, 60, 50)  # type: ignore[arg-type]


def test_a_progressive_jpeg_is_a_jpeg() -> None:
    assert inspect(encoded("JPEG", progressive=True)) == PictureHeader("JPEG", 60, 50)


def test_a_phones_jpeg_of_two_pictures_is_a_jpeg() -> None:
    sink = io.BytesIO()
    first, second = Image.new("RGB", (60, 50)), Image.new("RGB", (60, 50))
    first.save(sink, "MPO", save_all=True, append_images=[second])
    assert inspect(sink.getvalue()) == PictureHeader("JPEG", 60, 50)


def test_a_bomb_is_told_by_its_header_without_being_decoded() -> None:
    """Nothing stands behind the header here."""
    assert inspect(png_header(60_000, 60_000)) == PictureHeader("PNG", 60_000, 60_000)


@pytest.mark.parametrize("dib", [12, 40, 52, 56, 64, 108, 124])
def test_every_kind_of_bmp_tells_its_size(dib: int) -> None:
    fields = struct.pack("<IHHHH" if dib == 12 else "<IiiHH", dib, 60, 50 if dib == 12 else -50, 1, 24)
    assert inspect(b"BM" + bytes(12) + fields) == PictureHeader("BMP", 60, 50)


def test_a_jpeg_with_a_large_profile_and_exif_is_read() -> None:
    profile, exif = bytes(range(256)) * 2**14, b"Exif\0\0" + bytes(65_000)
    whole = encoded("JPEG", icc_profile=profile, exif=exif)
    assert len(whole) > 4 * 2**20
    assert inspect(whole) == PictureHeader("JPEG", 60, 50)


def test_a_jpegs_padding_and_stray_bytes_are_skipped() -> None:
    whole = encoded("JPEG")
    assert inspect(whole[:2] + b"\xff" * 300 + b"\0stray" + whole[2:]) == PictureHeader("JPEG", 60, 50)


@pytest.mark.parametrize("scan", [b"\xff\xda\0\x08\1", b"\xff\xda\0\x0c\3", b"\xff\xff\xda\0\x0e\4"])
def test_a_jpeg_of_too_many_scans_is_refused(scan: bytes) -> None:
    whole = encoded("JPEG")
    assert inspect(whole + scan * (MAX_JPEG_SCANS - 1)) == PictureHeader("JPEG", 60, 50)
    with pytest.raises(PictureHeaderInvalid):
        inspect(whole + scan * MAX_JPEG_SCANS)


def test_film_behind_a_jpeg_is_not_taken_for_scans() -> None:
    assert inspect(encoded("JPEG") + b"\xff\xda film" * 1000) == PictureHeader("JPEG", 60, 50)


@pytest.mark.parametrize(
    "part",
    [b"\xff\xe3\0\2", b"\xff", b"\xff\0", b"\xff\xd0", b"\xff\xda\0\x08", b"\xff\xe0" + bytes(1000)],
    ids=["segments", "padding", "stray", "markers", "scans", "empty"],
)
def test_a_hostile_jpeg_costs_no_more_than_the_segments_that_are_looked_at(part: bytes) -> None:
    """A dozen lines for each of them, out of six megabytes that hold millions."""
    hostile = b"\xff\xd8\xff" + part * (6 * 2**20 // len(part))
    with pytest.raises(PictureHeaderInvalid):
        inspect(hostile)
    assert lines_run(hostile) < 12 * MAX_JPEG_SEGMENTS


def test_a_png_of_half_a_million_chunks_costs_as_much_as_one_of_none() -> None:
    chunks = (b"\0\0\0\0tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))) * 2**19
    header, signature = png_header(60, 50)[:33], b"\x89PNG\r\n\x1a\n"
    assert inspect(header + chunks) == PictureHeader("PNG", 60, 50)
    assert lines_run(header + chunks) == lines_run(header)
    with pytest.raises(PictureHeaderInvalid):
        inspect(signature + chunks)
    assert lines_run(signature + chunks) < lines_run(header)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_none(kind: str) -> None:
    with pytest.raises(PictureHeaderInvalid):
        inspect(encoded(kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_header_cut_anywhere_is_refused_or_still_tells_the_size(kind: str) -> None:
    whole = encoded(kind)
    for length in range(min(len(whole), 700)):
        try:
            assert inspect(whole[:length]) == PictureHeader(kind, 60, 50)  # type: ignore[arg-type]
        except PictureHeaderInvalid:
            continue


@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b""]), st.binary(max_size=300))
def test_any_bytes_give_a_header_or_the_one_error(signature: bytes, rest: bytes) -> None:
    try:
        header = inspect(signature + rest)
    except PictureHeaderInvalid:
        return
    assert header.width > 0
    assert header.height > 0


@given(st.binary(max_size=300))
def test_base64_is_undone(data: bytes) -> None:
    text = base64.encodebytes(data)
    assert decode_base64(text) == data
    assert decode_base64(text.decode()) == data
    assert decode_base64(base64.b64encode(data)) == data


@pytest.mark.parametrize(
    "text", ["data:image/png;base64,YQ==", "YQ", "YQ=", "Y*Q=", "YQ==YQ==", "é", "\ud800", "-_-_", "YQ==\0"]
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(Base64Invalid):
        decode_base64(text)


@given(st.text(max_size=100))
def test_any_text_gives_bytes_or_the_one_error(text: str) -> None:
    try:
        decode_base64(text)
    except Base64Invalid:
        return
