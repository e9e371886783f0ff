"""Encoded bytes -> upright RGB picture. Knows no Triton.

A JPEG is decoded at the smallest scale that still has ``long_side`` pixels (libjpeg scales inside its inverse DCT, so a
quarter of the pixels costs a quarter of the work); whoever needs more detail calls :func:`decode` again with a larger
one. Everything else is decoded whole.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]

#: Read by Pillow, beside JPEG. A list of its own, so that a file cannot choose an obscure parser.
FORMATS = ("PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
#: A JPEG whose only fault is a few bytes too many before its end is whole all the same; cameras write such files.
HARMLESS = re.compile(r"Corrupt JPEG data: (\d{1,2}) extraneous bytes before marker 0xd9|Invalid SOS parameters")
#: A progressive JPEG has about ten scans; each costs a pass over all of its pixels, however few bytes it has.
MOST_SCANS = 100
#: A scan's marker with a header of one to four components; film behind a photograph holds bare markers by chance.
SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
#: How many segments of a JPEG are looked at for EXIF, size and scan; a camera writes about ten.
MOST_SEGMENTS = 256
EXIF = b"Exif\x00\x00"
#: The markers of a segment that says a JPEG's size and colours.
SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Non-JPEG pictures are decoded whole and may take several times their size on the way.
WHOLE_SHARE = 2
EXIF_ORIENTATION = 0x0112

Image.MAX_IMAGE_PIXELS = None  # read_header has its own limit, before anything is decoded
Image.init()


class PictureUnreadable(Exception):
    """Not a picture, or a broken or truncated one."""


class PictureTooLarge(Exception):
    """More pixels than allowed, by its header."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself; width and height as stored, before it is turned upright."""

    is_jpeg: bool
    width: int
    height: int
    #: EXIF: 1 upright … 8.
    orientation: int
    #: libjpeg can hand out RGB itself (not so for CMYK).
    direct: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of the picture as a viewer shows it."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(data: bytes, max_pixels: int) -> Header:
    """Size and orientation, from the first bytes alone.

    Raises:
        PictureUnreadable: no known format.
        PictureTooLarge: the header announces more than ``max_pixels``.
    """
    if data[:3] == b"\xff\xd8\xff":
        try:
            height, width, colour, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        except (ValueError, KeyError) as error:
            raise PictureUnreadable("a JPEG with a broken header") from error
        exif, one_scan = _look_through(data)
        if not one_scan and len(SCAN.findall(data)) > MOST_SCANS:
            raise PictureUnreadable(f"a JPEG of more than {MOST_SCANS} scans")
        header = Header(True, width, height, _jpeg_orientation(exif), colour not in {"CMYK", "YCCK"})
    else:
        max_pixels //= WHOLE_SHARE
        with _open(data, FORMATS) as picture:
            # Pillow turns a TIFF by itself.
            orientation = 1 if picture.format == "TIFF" else _orientation(picture.getexif)
            header = Header(False, *picture.size, orientation)
    if header.width < 1 or header.height < 1:
        raise PictureUnreadable("a picture without pixels")
    if header.width * header.height > max_pixels:
        raise PictureTooLarge(f"{header.width}x{header.height} pixels; at most {max_pixels} are decoded")
    return header


def decode(data: bytes, header: Header, long_side: float, room: Pixels | None = None) -> Pixels:
    """uint8 (h, w, 3) RGB, upright; perhaps reduced, its longer side then still ``long_side`` or more.

    ``room``: bytes (n,) that the picture may be decoded into, and lies at the beginning of, where that spares a copy.

    Raises:
        PictureUnreadable: broken or truncated.
    """
    if header.is_jpeg and header.direct:
        pixels = _decode_jpeg(data, header, long_side, room)
    else:
        with _open(data, ("JPEG",) if header.is_jpeg else FORMATS) as picture:
            pixels = _reduced(_rgb(picture), long_side)
    return turn_upright(pixels, header.orientation)


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = np.transpose(pixels, (1, 0, 2))
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _decode_jpeg(data: bytes, header: Header, long_side: float, room: Pixels | None) -> Pixels:
    eighths = eighths_for(header, long_side)
    options: dict[str, object] = {}
    if eighths < 8:
        wide = header.width >= header.height
        options = {"min_width" if wide else "min_height": int(np.ceil(long_side)), "min_factor": 2}
    if room is not None and 3 * _scaled(header.width, eighths) * _scaled(header.height, eighths) <= len(room):
        options["buffer"] = room
    try:
        return _simplejpeg(data, options, strict=True)
    except PictureUnreadable as fault:
        if not HARMLESS.search(str(fault)):
            raise
    return _simplejpeg(data, options, strict=False)


def eighths_for(header: Header, long_side: float) -> int:
    """In how many eighths of its size a JPEG is decoded so that its longer side is still ``long_side`` or more.

    libjpeg's eighths between a half and the whole cost more than they save.
    """
    longest = max(header.width, header.height)
    if long_side * 2 > longest:
        return 8
    return next((eighths for eighths in (1, 2, 3) if _scaled(longest, eighths) >= long_side), 4)


def _scaled(side: int, eighths: int) -> int:
    return -(-side * eighths // 8)


def _simplejpeg(data: bytes, options: dict[str, object], *, strict: bool) -> Pixels:
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", strict=strict, **options)
    except (ValueError, KeyError) as error:
        raise PictureUnreadable(f"a broken or truncated JPEG: {error}") from error
    return pixels


def _open(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError as error:
        raise PictureUnreadable("no picture of a known format") from error
    except Exception as error:  # Pillow's parsers raise anything from struct.error to SyntaxError
        raise PictureUnreadable(f"a broken header: {error}") from error


def _look_through(data: bytes) -> tuple[bytes, bool]:
    """The EXIF segment of a JPEG, empty where it has none, and whether its first scan must be its only one.

    From segment to segment up to the first scan: what follows may be megabytes, which a search would have to read.
    """
    exif, at = b"", 2
    colours, progressive = b"", True
    for _ in range(MOST_SEGMENTS):
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            break
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            # One that holds all colours is the whole of a picture that is not progressive: libjpeg takes no other.
            return exif, not progressive and data[at + 4 : at + 5] == colours
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == 0xE1 and not exif and data[at + 4 : at + 10] == EXIF:
            exif = data[at + 4 : at + 2 + length]
        if marker in SIZES:
            colours, progressive = data[at + 9 : at + 10], marker not in {0xC0, 0xC1}
        at += 2 + length
    # Something that libjpeg may still make sense of.
    at = data.find(EXIF, 0, 65536)
    return data[at : at + 65536] if at >= 0 else b"", False


def _jpeg_orientation(segment: bytes) -> int:
    if not segment:
        return 1
    exif = Image.Exif()

    def read() -> Image.Exif:
        exif.load(segment)
        return exif

    return _orientation(read)


def _orientation(read: Callable[[], Image.Exif]) -> int:
    """1 where EXIF says nothing that can be read: the pixels have their own check."""
    try:
        found = read().get(EXIF_ORIENTATION, 1)
    except Exception:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _reduced(pixels: Pixels, long_side: float) -> Pixels:
    """Averaged over whole blocks while the longer side stays at least ``long_side``: less to hand on."""
    factor = int(max(pixels.shape[:2]) / max(long_side, 1.0))
    if factor < 2:
        return pixels
    size = (max(1, pixels.shape[1] // factor), max(1, pixels.shape[0] // factor))
    # OpenCV keeps the type of the pixels that it is given, which its own types do not say.
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _rgb(picture: Image.Image) -> Pixels:
    """Any mode to RGB: 16 bits to 8, transparency over white."""
    try:
        picture.load()
        if picture.mode.startswith("I") or picture.mode == "F":
            grey = np.asarray(picture, np.float32)
            top = 65535.0 if picture.mode.startswith("I") else 255.0
            scaled = np.clip(grey * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
            return np.repeat(scaled[:, :, None], 3, axis=2)
        if "A" in picture.getbands() or "transparency" in picture.info:
            seen = picture.convert("RGBA")
            white = Image.new("RGBA", seen.size, "white")
            picture = Image.alpha_composite(white, seen)
        return np.asarray(picture.convert("RGB"), np.uint8)
    except MemoryError:
        raise
    except Exception as error:
        raise PictureUnreadable(f"a broken or truncated picture: {error}") from error
