"""What a well-formed call must hold, in the order in which the first fault is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from visavis_proxy.contracts.aliyun import errors
from visavis_proxy.contracts.aliyun.errors import Refusal
from visavis_proxy.contracts.aliyun.request import AcsRequest

ACTION = "CompareFaces"
#: Those whose CompareFaces has the document's parameters.
VERSIONS = frozenset({"2018-05-04", "2018-08-07", "2018-09-16", "2019-03-07"})

FACE_PIC = "FacePic"
TYPES = frozenset({FACE_PIC, "IDPic"})
_BASE64 = b"base64://"
_URLS = (b"http://", b"https://")
_LONGEST_SCHEME = max(map(len, (_BASE64, *_URLS)))


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """Base64 text that came in the request."""

    is_remote: ClassVar = False

    text: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemotePicture:
    """An http or https URL."""

    is_remote: ClassVar = True

    url: str = field(repr=False)


Picture = InlinePicture | RemotePicture


def check_operation(request: AcsRequest) -> None:
    """Action and Version, from query, form or headers.

    Raises:
        Refusal: missing or unknown.
    """
    action = request.public("Action", "x-acs-action")
    version = request.public("Version", "x-acs-version")
    if not action:
        raise Refusal(errors.missing("Action"))
    if not version:
        raise Refusal(errors.missing("Version"))
    if action != ACTION:
        raise Refusal(errors.ACTION_NOT_FOUND)
    if version not in VERSIONS:
        raise Refusal(errors.VERSION_INVALID)


def check_pictures(request: AcsRequest) -> tuple[Picture, Picture]:
    """Types, then values: source and target.

    Raises:
        Refusal: the first fault.
    """
    types = [request.text(f"{side}ImageType") for side in ("Source", "Target")]
    if not all(types):
        raise Refusal(errors.IMAGE_TYPE_EMPTY)
    if not TYPES.issuperset(types):
        raise Refusal(errors.IMAGE_TYPE_INVALID)
    if FACE_PIC not in types:
        raise Refusal(errors.FACE_PIC_NOT_GIVEN)
    values = [request.value(f"{side}ImageValue") for side in ("Source", "Target")]
    if not all(values):
        raise Refusal(errors.PARAM_MISSING)
    source, target = (_picture(value, request.method) for value in values)
    return source, target


def _picture(value: bytes, method: str) -> Picture:
    scheme = value[:_LONGEST_SCHEME].lower()
    # "使用base64传递图片时，接口的请求方法需要改成 POST".
    if scheme.startswith(_BASE64) and method == "POST":
        return InlinePicture(value[len(_BASE64) :])
    if scheme.startswith(_URLS):
        try:
            return RemotePicture(value.decode())
        except UnicodeDecodeError:
            raise Refusal(errors.IMAGE_VALUE_PATTERN) from None
    raise Refusal(errors.IMAGE_VALUE_PATTERN)
