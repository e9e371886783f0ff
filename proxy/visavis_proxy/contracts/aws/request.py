"""The request's body: ``{"url": …}`` or ``{"img": …}``, read whatever the Content-Type says."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from visavis_proxy.contracts.aws.errors import BOTH_PARAMETERS, INVALID_PARAM, Parameter, Refused, illegal
from visavis_proxy.contracts.aws.settings import AwsSettings
from visavis_proxy.fetch import Fetcher, FetchError, Hold
from visavis_proxy.images import Base64Invalid, PictureHeaderInvalid, decode_base64, inspect


@dataclass(frozen=True, slots=True)
class Question:
    """Which parameter brings the picture: an address, or itself."""

    parameter: Parameter
    #: One of these; the picture as it was encoded, out of its base64.
    url: str = field(default="", repr=False)
    picture: bytes = field(default=b"", repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether the picture must be fetched."""
        return self.parameter == "url"


def read_question(body: bytes) -> Question:
    """Read the two parameters, of which a request has one; nothing of the body or its text is kept.

    Raises:
        Refused: none, both, no base64, or not JSON.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused(INVALID_PARAM) from None
    if given is None or isinstance(given, bool | int | float):
        raise Refused(INVALID_PARAM)
    if not isinstance(given, dict):
        raise Refused(illegal("img"))
    if "url" in given and "img" in given:
        raise Refused(BOTH_PARAMETERS)
    parameter: Parameter = "url" if "url" in given else "img"
    value = given.get(parameter)
    if not isinstance(value, str):
        raise Refused(illegal(parameter))
    if parameter == "url":
        return Question(parameter, url=value)
    try:
        return Question(parameter, picture=decode_base64(value))
    except Base64Invalid:
        raise Refused(illegal(parameter)) from None


async def obtain_picture(question: Question, fetcher: Fetcher, settings: AwsSettings, hold: Hold) -> bytes:
    """The encoded picture, of a documented format and size; only its header is read.

    Raises:
        Refused: it cannot be had, or the document does not allow it.
        EngineBusy: there is no room for it.
    """
    try:
        picture = question.picture
        if question.is_remote:
            picture = await fetcher.fetch(question.url, max_bytes=settings.max_picture_bytes, hold=hold)
        # Knows jpg/jpeg, png and bmp, as the document does, and nothing else.
        header = inspect(picture)
    except (FetchError, PictureHeaderInvalid):
        raise Refused(illegal(question.parameter)) from None
    if max(header.width, header.height) > settings.max_side_px:
        raise Refused(illegal(question.parameter))
    return picture
