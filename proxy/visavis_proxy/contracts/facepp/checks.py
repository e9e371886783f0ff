"""权限 and 图片要求: who may call, and which pictures are looked at."""

from __future__ import annotations

from typing import Final

from visavis_proxy.contracts.facepp import errors
from visavis_proxy.contracts.facepp.errors import Refusal
from visavis_proxy.contracts.facepp.forms import Fields
from visavis_proxy.contracts.facepp.request import CREDENTIALS, read_text
from visavis_proxy.contracts.facepp.settings import FacePpSettings
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.images import inspect
from visavis_proxy.key_rate import spend
from visavis_proxy.services import Services

_LONGEST_CREDENTIAL: Final = 256
#: The reason for a key that is good, but for other contracts.
DENIED_BY_ADMIN: Final = "Denied by Admin"
#: "图片格式：JPG(JPEG)，PNG"
FORMATS: Final = frozenset({"JPEG", "PNG"})


async def admit(fields: Fields, services: Services) -> Key:
    """The caller's key, after its secret, its permission and its rate.

    Raises:
        Refusal: it may not call.
        RateExceeded: not now.
        StateUnavailable: rates cannot be kept.
    """
    api_key, api_secret = (read_text(fields, name, _LONGEST_CREDENTIAL) for name in CREDENTIALS)
    for name, value in zip(CREDENTIALS, (api_key, api_secret), strict=True):
        if not value:
            raise Refusal(errors.MISSING_ARGUMENTS, name)
    key = services.credentials.find(api_key)
    if key is None or not key.secret_is(api_secret):
        raise Refusal(errors.AUTHENTICATION_ERROR)
    if key.disabled:
        raise Refusal(errors.AUTHORIZATION_ERROR, key.disabled)
    if not key.may_call(Contract.FACEPP):
        raise Refusal(errors.AUTHORIZATION_ERROR, DENIED_BY_ADMIN)
    await spend(key, services.state)
    return key


def check_picture(image: bytes, parameter: str, settings: FacePpSettings) -> None:
    """Size of the file, format, size in pixels; from the header alone.

    Raises:
        Refusal, PictureHeaderInvalid: the document does not allow it.
    """
    if len(image) > settings.max_picture_bytes:
        raise Refusal(errors.IMAGE_FILE_TOO_LARGE, parameter)
    header = inspect(image)
    if header.format not in FORMATS:
        raise Refusal(errors.IMAGE_ERROR_UNSUPPORTED_FORMAT, parameter)
    sides = sorted((header.width, header.height))
    if sides[0] < settings.min_side_px or sides[1] > settings.max_side_px:
        raise Refusal(errors.INVALID_IMAGE_SIZE, parameter)
