"""请求参数: what a call says, taken from its fields and refused where a parameter is missing or malformed."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass, field
from typing import ClassVar, Final

from visavis_client.faces import BoundingBox
from visavis_proxy.contracts.facepp import errors
from visavis_proxy.contracts.facepp.errors import Refusal
from visavis_proxy.contracts.facepp.forms import Fields

#: "长度过长": ours has 32 characters.
LONGEST_TOKEN: Final = 128
LONGEST_URL: Final = 8192
#: "四个正整数，用逗号分隔"; nine digits fit the engine's integers.
_RECTANGLE: Final = re.compile(r"([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The names by which one side of a call goes; detect has no token."""

    url: str
    file: str
    token: str
    base64: str
    rectangle: str


COMPARE: Final = (
    Parameters("image_url1", "image_file1", "face_token1", "image_base64_1", "face_rectangle1"),
    Parameters("image_url2", "image_file2", "face_token2", "image_base64_2", "face_rectangle2"),
)
DETECT: Final = Parameters("image_url", "image_file", "", "image_base64", "face_rectangle")
CREDENTIALS: Final = ("api_key", "api_secret")


def names_of(*sides: Parameters) -> frozenset[str]:
    """The fields of a call that count; all others are ignored."""
    return frozenset(filter(None, (*CREDENTIALS, *(name for side in sides for name in astuple(side)))))


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A face seen before."""

    is_remote: ClassVar = False

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """By which parameters a picture was given, and where in it a face is looked for."""

    parameter: str
    rectangle_parameter: str
    #: Pixels of the upright picture.
    rectangle: BoundingBox | None = None


@dataclass(frozen=True, slots=True)
class GivenPicture:
    """A picture in one of its three forms."""

    origin: Origin
    #: One of these.
    content: bytes | None = field(default=None, repr=False)
    base64: bytes | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether it must be fetched."""
        return self.url is not None


def read_text(fields: Fields, name: str, longest: int) -> str:
    """A field that is text; empty when it was not given.

    Raises:
        Refusal: BAD_ARGUMENTS.
    """
    given = fields.get(name)
    if given is None:
        return ""
    try:
        text = given.value.decode()
    except UnicodeDecodeError:
        raise Refusal(errors.BAD_ARGUMENTS, name) from None
    if len(text) > longest:
        raise Refusal(errors.BAD_ARGUMENTS, name)
    return text


def read_side(fields: Fields, names: Parameters, *, is_trial: bool) -> GivenToken | GivenPicture:
    """One side of a comparison: a token before any picture.

    Raises:
        Refusal: MISSING_ARGUMENTS, BAD_ARGUMENTS or INSUFFICIENT_PERMISSION.
    """
    token = read_text(fields, names.token, LONGEST_TOKEN)
    return GivenToken(token) if token else read_picture(fields, names, is_trial=is_trial)


def read_picture(fields: Fields, names: Parameters, *, is_trial: bool) -> GivenPicture:
    """A picture and its rectangle: the file before base64, base64 before the URL.

    Raises:
        Refusal: as read_side.
    """
    given = {name for name, value in fields.items() if value.is_given}
    rectangle = _read_rectangle(fields, names.rectangle, is_trial=is_trial)
    if names.file in given:
        return GivenPicture(Origin(names.file, names.rectangle, rectangle), content=fields[names.file].value)
    if names.base64 in given:
        return GivenPicture(Origin(names.base64, names.rectangle, rectangle), base64=fields[names.base64].value)
    if names.url in given:
        url = read_text(fields, names.url, LONGEST_URL)
        return GivenPicture(Origin(names.url, names.rectangle, rectangle), url=url)
    choices = (names.url, names.file, names.token, names.base64)
    raise Refusal(errors.MISSING_ARGUMENTS, ", ".join(filter(None, choices)))


def _read_rectangle(fields: Fields, name: str, *, is_trial: bool) -> BoundingBox | None:
    """top,left,width,height as a box; None where the parameter is blank or absent."""
    given = fields.get(name)
    if given is None or not given.value:
        return None
    if is_trial:
        raise Refusal(errors.INSUFFICIENT_PERMISSION, name)
    match = _RECTANGLE.fullmatch(given.value.decode("latin-1"))
    if match is None:
        raise Refusal(errors.BAD_ARGUMENTS, name)
    top, left, width, height = map(int, match.groups())
    if not width or not height:
        raise Refusal(errors.BAD_ARGUMENTS, name)
    return BoundingBox(left, top, width, height)
