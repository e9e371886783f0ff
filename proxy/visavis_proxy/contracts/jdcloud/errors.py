"""The three layers of errors, and one table from everything that can go wrong to a row of them.

JdCloudError
├── GatewayError     authentication and routing: an HTTP status of its own, ``{"requestId", "error"}``
├── SystemLevelError the call was not made: HTTP 200, the envelope's ``code`` is not "10000", no result
└── BusinessError    the call was made and found something: HTTP 200, "10000", ``result.code`` is not 0
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

from visavis_client import errors as domain
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.state import StateUnavailable


class GatewayStatus(IntEnum):
    """The rows of the vendor's common error table that this gateway uses: status and HTTP code."""

    OUT_OF_RANGE = 400
    UNAUTHENTICATED = 401
    NOT_FOUND = 404
    CANCELLED = 499
    INTERNAL = 500


class SystemCode(Enum):
    """The rows of the vendor's system error table that exist here: code and msg."""

    BUSY = ("10020", "系统繁忙，请稍后再试")
    DAILY_QUOTA_SPENT = ("10040", "超过每天限量，请明天继续")
    RATE_EXCEEDED = ("10043", "超过QPS限额，请降低调用频率或与京东智联云联系")
    NO_PERMISSION = ("10048", "无接口权限，请下单购买")
    DISABLED = ("10050", "用户已被禁用")
    ENGINE_CALL_FAILED = ("11010", "发布方接口调用异常，请稍后再试")
    ENGINE_ANSWER_MALFORMED = ("11030", "发布方接口返回格式有误")

    @property
    def code(self) -> str:
        """The envelope's ``code``."""
        return self.value[0]

    @property
    def msg(self) -> str:
        """The envelope's ``msg``."""
        return self.value[1]


class BusinessCode(IntEnum):
    """业务错误码: the number is ``result.code``, the name is ``result.msg``."""

    NoRequiredFields = 1
    ImageIsTooSmall = 2
    ImageIsTooLarge = 3
    Base64IsInvalid = 4
    Base64IsTooLarge = 5
    NoFaceDetected = 10
    InvalidFaceQuality = 11
    InvalidFacePosture = 12
    FeatureCompareFail = 15
    RequestBodyIsNotJson = 31
    TimeoutException = 41


class JdCloudError(Exception):
    """Root: a request that this room does not answer with a comparison."""


class GatewayError(JdCloudError):
    """Refused before anyone was asked; ``message`` is shown to the caller."""

    def __init__(self, status: GatewayStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class SystemLevelError(JdCloudError):
    """The call was not made."""

    def __init__(self, code: SystemCode) -> None:
        super().__init__(code.code)
        self.code = code


class BusinessError(JdCloudError):
    """The call was made, and found no two faces to compare."""

    def __init__(self, code: BusinessCode) -> None:
        super().__init__(code.name)
        self.code = code


#: Every leaf of the client's tree, and what else the proxy's own parts raise.
ROWS: Final[dict[type[Exception], SystemCode | BusinessCode]] = {
    domain.PictureUnreadable: BusinessCode.Base64IsInvalid,
    domain.PictureTooLarge: BusinessCode.ImageIsTooLarge,
    # This room never sends a region: an engine that complains of one is not understood.
    domain.RegionInvalid: SystemCode.ENGINE_ANSWER_MALFORMED,
    domain.TemplatesNotComparable: BusinessCode.FeatureCompareFail,
    # A restarting engine is back within seconds: to a caller it is as busy as a full one.
    domain.EngineUnavailable: SystemCode.BUSY,
    domain.EngineBusy: SystemCode.BUSY,
    domain.EngineTimeout: BusinessCode.TimeoutException,
    domain.EngineFault: SystemCode.ENGINE_CALL_FAILED,
    TimeoutError: BusinessCode.TimeoutException,
    RateExceeded: SystemCode.RATE_EXCEEDED,
    StateUnavailable: SystemCode.BUSY,
}


def translate(error: Exception) -> JdCloudError | None:
    """The room's own error for a neighbour's, or None for one that nobody expected."""
    for kind in type(error).__mro__:
        row = ROWS.get(kind)
        if row is not None:
            return SystemLevelError(row) if isinstance(row, SystemCode) else BusinessError(row)
    return None
