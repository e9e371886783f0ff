"""What may be known of an encoded picture without decoding it: format and size, from its header."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import pybase64

Format = Literal["JPEG", "PNG", "BMP"]
_Size = tuple[int, int]

#: Segments before the frame header. An ICC profile may take 255 and EXIF some more; each costs about a microsecond.
MAX_JPEG_SEGMENTS: Final = 1024
#: A progressive picture has about ten, and a decoder goes over all its pixels once for each.
MAX_JPEG_SCANS: Final = 100
#: What stands between two segments is skipped, as decoders do, up to so many bytes.
_JPEG_GAP: Final = 1024
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xff]")
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Restart markers and the beginning and end of a picture: nothing follows that belongs to them.
_JPEG_BARE: Final = frozenset(range(0xD0, 0xDA))
_JPEG_SCAN: Final = b"\xff\xda"
#: A scan's marker with its length and number of components, so that video that some cameras append is not counted as
#: scans: six megabytes of it hold the marker's two bytes some ninety times.
_JPEG_SCANS: Final = tuple(_JPEG_SCAN + bytes((0, 6 + 2 * count, count)) for count in (1, 2, 3, 4))
#: Sizes of the header behind the file's own, each beginning with its size.
_BMP_OS2: Final = 12
_BMP_WINDOWS: Final = frozenset({40, 52, 56, 64, 108, 124})
_BMP_DEPTHS: Final = frozenset({1, 4, 8, 16, 24, 32})
_WHITESPACE: Final = b" \t\r\n\v\f"


class PictureHeaderInvalid(Exception):
    """Not the beginning of a JPEG, PNG or BMP."""


class Base64Invalid(Exception):
    """Not base64 of the standard alphabet with its padding."""


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the header says; the picture behind it may still be broken."""

    format: Format
    #: Pixels as stored; an EXIF orientation may swap them.
    width: int
    height: int


def inspect(data: bytes) -> PictureHeader:
    """Read the header of an encoded picture, however long and hostile, in a few milliseconds at most.

    Raises:
        PictureHeaderInvalid: no header of a known format, or a JPEG of more scans than any camera writes.
    """
    known = ((name, reader) for signature, name, reader in _READERS if data.startswith(signature))
    name, reader = next(known, (None, None))
    if name is None or reader is None:
        raise PictureHeaderInvalid("the first bytes are of no known format")
    try:
        width, height = reader(data)
    except struct.error as error:
        raise PictureHeaderInvalid(f"a {name} cut short") from error
    if width < 1 or height < 1:
        raise PictureHeaderInvalid(f"a {name} of {width}x{height} pixels")
    return PictureHeader(name, width, height)


def _jpeg_size(data: bytes) -> _Size:
    # The marker alone first: one pass over the bytes instead of five settles nearly every picture.
    if data.count(_JPEG_SCAN) > MAX_JPEG_SCANS and sum(map(data.count, _JPEG_SCANS)) > MAX_JPEG_SCANS:
        raise PictureHeaderInvalid("a JPEG of too many scans")
    at = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, at, at + _JPEG_GAP)
        if found is None:
            break
        at = found.end()
        marker = data[at - 1]
        if marker in _JPEG_FRAMES:
            depth, height, width, components = struct.unpack_from(">2xBHHB", data, at)
            if depth != 8 or components not in (1, 3, 4):
                raise PictureHeaderInvalid(f"a JPEG of {components} components of {depth} bits")
            return width, height
        if marker in _JPEG_BARE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        # Below the first frame's marker nothing is defined, and with a scan the pixels begin.
        if marker < 0xC0 or marker == _JPEG_SCAN[1] or length < 2:
            break
        at += length
    raise PictureHeaderInvalid("a JPEG without a frame header where it belongs")


def _png_size(data: bytes) -> _Size:
    length, chunk, (checksum,) = data[8:12], data[12:29], struct.unpack_from(">I", data, 29)
    if length + chunk[:4] != b"\0\0\0\x0dIHDR" or zlib.crc32(chunk) != checksum:
        raise PictureHeaderInvalid("a PNG that does not begin with its header")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp_size(data: bytes) -> _Size:
    (kind,) = struct.unpack_from("<I", data, 14)
    if kind != _BMP_OS2 and kind not in _BMP_WINDOWS:
        raise PictureHeaderInvalid("a BMP of an unknown kind")
    width, height, depth = struct.unpack_from("<HH2xH" if kind == _BMP_OS2 else "<ii2xH", data, 18)
    if depth not in _BMP_DEPTHS:
        raise PictureHeaderInvalid(f"a BMP of {depth} bits")
    # A negative height says that the first row is the uppermost.
    return width, abs(height)


#: By first bytes.
_READERS: Final[tuple[tuple[bytes, Format, Callable[[bytes], _Size]], ...]] = (
    (b"\xff\xd8\xff", "JPEG", _jpeg_size),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png_size),
    (b"BM", "BMP", _bmp_size),
)


def decode_base64(text: str | bytes) -> bytes:
    """Bytes of base64 text, in which blanks and line breaks may stand, and nothing else that does not belong.

    Raises:
        Base64Invalid: anything else, a ``data:`` prefix included.
    """
    try:
        try:
            # Text as it is: its bytes would be a copy of several megabytes.
            return pybase64.b64decode(text, validate=True)
        except ValueError:
            encoded = text.encode("ascii") if isinstance(text, str) else text
            return pybase64.b64decode(encoded.translate(None, _WHITESPACE), validate=True)
    except ValueError as error:
        raise Base64Invalid("not base64") from error
