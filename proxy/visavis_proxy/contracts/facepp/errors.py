"""The document's two error tables, row by row, and what our neighbours' errors become in their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from visavis_client import errors as client
from visavis_proxy import fetch
from visavis_proxy.images import Base64Invalid, PictureHeaderInvalid
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.state import StateUnavailable


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: status, error message, and what stands between it and the parameter it is about."""

    status: int
    code: str
    separator: str = ": "


class Refusal(Exception):
    """The request ends here; ``about`` is the row's <param>, <key>, <reason> or <face_token>."""

    def __init__(self, fault: Fault, about: str = "") -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.message = f"{fault.code}{fault.separator}{about}" if about else fault.code


# 当前 API 特有的 ERROR_MESSAGE
#: The document's example has no blank here.
INVALID_FACE_TOKEN: Final = Fault(400, "INVALID_FACE_TOKEN", ":")
IMAGE_ERROR_UNSUPPORTED_FORMAT: Final = Fault(400, "IMAGE_ERROR_UNSUPPORTED_FORMAT")
INVALID_IMAGE_SIZE: Final = Fault(400, "INVALID_IMAGE_SIZE")
INVALID_IMAGE_URL: Final = Fault(400, "INVALID_IMAGE_URL")
IMAGE_FILE_TOO_LARGE: Final = Fault(400, "IMAGE_FILE_TOO_LARGE")
INSUFFICIENT_PERMISSION: Final = Fault(403, "INSUFFICIENT_PERMISSION")
IMAGE_DOWNLOAD_TIMEOUT: Final = Fault(412, "IMAGE_DOWNLOAD_TIMEOUT")

# 通用的 ERROR_MESSAGE
AUTHENTICATION_ERROR: Final = Fault(401, "AUTHENTICATION_ERROR")
AUTHORIZATION_ERROR: Final = Fault(403, "AUTHORIZATION_ERROR")
CONCURRENCY_LIMIT_EXCEEDED: Final = Fault(403, "CONCURRENCY_LIMIT_EXCEEDED")
MISSING_ARGUMENTS: Final = Fault(400, "MISSING_ARGUMENTS")
BAD_ARGUMENTS: Final = Fault(400, "BAD_ARGUMENTS")
COEXISTENCE_ARGUMENTS: Final = Fault(400, "COEXISTENCE_ARGUMENTS")
#: The one answer in plain text.
REQUEST_ENTITY_TOO_LARGE: Final = Fault(413, "Request Entity Too Large")
API_NOT_FOUND: Final = Fault(404, "API_NOT_FOUND")
INTERNAL_ERROR: Final = Fault(500, "INTERNAL_ERROR")

#: In the document's order.
DOCUMENTED: Final = (
    INVALID_FACE_TOKEN,
    IMAGE_ERROR_UNSUPPORTED_FORMAT,
    INVALID_IMAGE_SIZE,
    INVALID_IMAGE_URL,
    IMAGE_FILE_TOO_LARGE,
    INSUFFICIENT_PERMISSION,
    IMAGE_DOWNLOAD_TIMEOUT,
    AUTHENTICATION_ERROR,
    AUTHORIZATION_ERROR,
    CONCURRENCY_LIMIT_EXCEEDED,
    MISSING_ARGUMENTS,
    BAD_ARGUMENTS,
    COEXISTENCE_ARGUMENTS,
    REQUEST_ENTITY_TOO_LARGE,
    API_NOT_FOUND,
    INTERNAL_ERROR,
)


class About(Enum):
    """Which parameter an error of a neighbour is about."""

    NOTHING = 0
    PICTURE = 1
    RECTANGLE = 2


#: Every leaf of the trees of client, fetcher, pictures and state, and what else the proxy's own parts raise.
RAISED: Final[Mapping[type[Exception], tuple[Fault, About]]] = {
    Base64Invalid: (IMAGE_ERROR_UNSUPPORTED_FORMAT, About.PICTURE),
    PictureHeaderInvalid: (IMAGE_ERROR_UNSUPPORTED_FORMAT, About.PICTURE),
    client.PictureUnreadable: (IMAGE_ERROR_UNSUPPORTED_FORMAT, About.PICTURE),
    client.PictureTooLarge: (INVALID_IMAGE_SIZE, About.PICTURE),
    client.RegionInvalid: (BAD_ARGUMENTS, About.RECTANGLE),
    fetch.FetchRefused: (INVALID_IMAGE_URL, About.PICTURE),
    fetch.FetchFailed: (INVALID_IMAGE_URL, About.PICTURE),
    fetch.FetchTooLarge: (IMAGE_FILE_TOO_LARGE, About.PICTURE),
    fetch.FetchTimeout: (IMAGE_DOWNLOAD_TIMEOUT, About.PICTURE),
    RateExceeded: (CONCURRENCY_LIMIT_EXCEEDED, About.NOTHING),
    # A client waits and asks again, as it does when its own rate is used up.
    client.EngineBusy: (CONCURRENCY_LIMIT_EXCEEDED, About.NOTHING),
    # It restarts within seconds: the same advice.
    client.EngineUnavailable: (CONCURRENCY_LIMIT_EXCEEDED, About.NOTHING),
    # "服务器内部错误，当此类错误发生时请再次请求"
    client.EngineTimeout: (INTERNAL_ERROR, About.NOTHING),
    client.EngineFault: (INTERNAL_ERROR, About.NOTHING),
    client.TemplatesNotComparable: (INTERNAL_ERROR, About.NOTHING),
    StateUnavailable: (INTERNAL_ERROR, About.NOTHING),
}


def refusal_of(error: Exception, *, picture: str = "", rectangle: str = "") -> Refusal | None:
    """The refusal that a neighbour's error becomes, given the names of the parameters; None for a stranger."""
    row = next((RAISED[kind] for kind in type(error).__mro__ if kind in RAISED), None)
    if row is None:
        return None
    fault, about = row
    return Refusal(fault, {About.NOTHING: "", About.PICTURE: picture, About.RECTANGLE: rectangle}[about])
