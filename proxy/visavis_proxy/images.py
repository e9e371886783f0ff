"""What may be known of an encoded picture without decoding it: format and size, from its header."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final, Literal

import pybase64
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

Format = Literal["JPEG", "PNG", "BMP"]

#: By first bytes. Pillow's readers are called by name, so that none but these ever sees a caller's bytes, and none
#: refuses a large picture with a limit that is not the contract's.
_READERS: Final[tuple[tuple[bytes, Format, type[ImageFile]], ...]] = (
    (b"\xff\xd8\xff", "JPEG", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImageFile),
    (b"BM", "BMP", BmpImageFile),
)
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
    """Read the header of an encoded picture; no pixel is decoded.

    Raises:
        PictureHeaderInvalid: no header of a known format.
    """
    known = ((name, reader) for signature, name, reader in _READERS if data.startswith(signature))
    name, reader = next(known, (None, None))
    if name is None or reader is None:
        raise PictureHeaderInvalid("the first bytes are of no known format")
    try:
        # Not closed: it holds nothing but a view of the bytes.
        width, height = reader(io.BytesIO(data)).size
    except Exception as error:
        # The readers promise no particular exception for what hostile bytes may do to them.
        raise PictureHeaderInvalid(f"a broken {name} header") from error
    if width < 1 or height < 1:
        raise PictureHeaderInvalid(f"a {name} of {width}x{height} pixels")
    return PictureHeader(name, width, height)


def decode_base64(text: str | bytes) -> bytes:
    """Bytes of base64 text, in which blanks and line breaks may stand, and nothing else that does not belong.

    Raises:
        Base64Invalid: anything else, a ``data:`` prefix included.
    """
    try:
        encoded = text.encode("ascii") if isinstance(text, str) else text
        try:
            return pybase64.b64decode(encoded, validate=True)
        except ValueError:
            return pybase64.b64decode(encoded.translate(None, _WHITESPACE), validate=True)
    except ValueError as error:
        raise Base64Invalid("not base64") from error
