"""The request's body: ``{"url": …}`` or ``{"img": …}``, read whatever the Content-Type says."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from visavis_proxy.contracts.aws.errors import BOTH_PARAMETERS, INVALID_PARAM, Parameter, Refused, illegal
from visavis_proxy.contracts.aws.settings import AwsSettings
from visavis_proxy.fetch import Fetcher, FetchError, Hold
from visavis_proxy.images import Base64Invalid, PictureHeaderInvalid, decode_base64, inspect


@dataclass(frozen=True, slots=True)
class Question:
    """Which parameter brought the picture, and what it holds."""

    parameter: Parameter
    value: str

    @property
    def is_remote(self) -> bool:
        """Whether the picture must be fetched."""
        return self.parameter == "url"


def read_question(body: bytes) -> Question:
    """Read the two parameters, of which a request has one.

    Raises:
        Refused: none, both, or not JSON.
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
    return Question(parameter, value)


async def obtain_picture(question: Question, fetcher: Fetcher, settings: AwsSettings, hold: Hold) -> bytes:
    """The encoded picture, of a documented format and size; only its header is read.

    Raises:
        Refused: it cannot be had, or the document does not allow it.
        EngineBusy: there is no room for it.
    """
    try:
        if question.is_remote:
            picture = await fetcher.fetch(question.value, max_bytes=settings.max_picture_bytes, hold=hold)
        else:
            picture = decode_base64(question.value)
        # Knows jpg/jpeg, png and bmp, as the document does, and nothing else.
        header = inspect(picture)
    except (FetchError, Base64Invalid, PictureHeaderInvalid):
        raise Refused(illegal(question.parameter)) from None
    if max(header.width, header.height) > settings.max_side_px:
        raise Refused(illegal(question.parameter))
    return picture
