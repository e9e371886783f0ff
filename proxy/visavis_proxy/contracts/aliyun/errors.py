"""The error table: the document's own codes, then those of the gateway that it calls common errors.

A code, its status and its exact message stand in one place; what our own neighbours raise is mapped below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect

from visavis_client import errors as client
from visavis_proxy import fetch, images
from visavis_proxy.bodies import BodyTooLarge
from visavis_proxy.contracts.aliyun.request import TooManyFields
from visavis_proxy.gate import BodiesFull
from visavis_proxy.key_rate import RateExceeded
from visavis_proxy.state import StateUnavailable


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table."""

    status: int
    code: str
    message: str


class Refusal(Exception):
    """A request ends with that row; ``detail`` continues its message and may hold the caller's own pictures."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.message = fault.message + detail


# The document, row by row; "imput" is the vendor's.
INTERNAL_ERROR: Final = Fault(
    500, "Error.InternalError", "The request processing has failed due to some unknown error."
)
PARAM_MISSING: Final = Fault(403, "InvalidParam.ParamMissing", "Please check if there is param empty in your imput.")
NO_PERMISSION: Final = Fault(403, "Error.NoPermissionAccess", "No permission to access our service.")
COMPARE_FACES_ERROR: Final = Fault(500, "Error.CompareFacesError", "CompareFaces action failed due to internal error.")
IMAGE_TYPE_EMPTY: Final = Fault(400, "InvalidParam.ImageTypeEmpty", "The image type is empty.")
FACE_PIC_NOT_GIVEN: Final = Fault(
    400, "InvalidParam.FacePicNotGiven", "At least one of the two given images has a type of FacePic."
)
IMAGE_VALUE_PATTERN: Final = Fault(
    400, "InvalidParam.ImageValuePatternError", "The pattern of value of given image is not acceptable."
)
IMAGE_TYPE_INVALID: Final = Fault(400, "InvalidParam.ImageTypeInvalid", "The image type is not valid.")
NO_FACE_DETECTED: Final = Fault(400, "Error.NoFaceDetected", "No face detected from given images.")

DOCUMENTED: Final = (
    INTERNAL_ERROR,
    PARAM_MISSING,
    NO_PERMISSION,
    COMPARE_FACES_ERROR,
    IMAGE_TYPE_EMPTY,
    FACE_PIC_NOT_GIVEN,
    IMAGE_VALUE_PATTERN,
    IMAGE_TYPE_INVALID,
    NO_FACE_DETECTED,
)


# The gateway.
def missing(name: str) -> Fault:
    """A public parameter that did not come."""
    return Fault(400, f"Missing{name}", f"{name} is mandatory for this action.")


KEY_NOT_FOUND: Final = Fault(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
KEY_INACTIVE: Final = Fault(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
#: The colon matters: the acs client splits at it, and compares what follows with its own string to sign.
SIGNATURE_RPC: Final = Fault(
    400,
    "SignatureDoesNotMatch",
    "Specified signature is not matched with our calculation. server string to sign is:",
)
SIGNATURE_ACS3: Final = Fault(
    400, "SignatureDoesNotMatch", "Specified signature does not match our calculation. server StringToSign is "
)
SIGNATURE_INCOMPLETE: Final = Fault(
    400, "IncompleteSignature", "The request signature does not conform to Aliyun standards."
)
SIGNATURE_METHOD: Final = Fault(400, "InvalidSignatureMethod", "Specified signature method is not valid.")
TIMESTAMP_FORMAT: Final = Fault(
    400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
)
TIMESTAMP_EXPIRED: Final = Fault(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
NONCE_USED: Final = Fault(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
ACTION_NOT_FOUND: Final = Fault(
    404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
)
VERSION_INVALID: Final = Fault(400, "InvalidVersion", "Specified parameter Version is not valid.")
FORMAT_INVALID: Final = Fault(400, "InvalidParameter.Format", "Specified parameter format is not valid.")
NEED_SSL: Final = Fault(400, "InvalidProtocol.NeedSsl", "Your request is denied as lack of ssl protect.")
USER_FLOW: Final = Fault(400, "Throttling.User", "Request was denied due to user flow control.")
API_FLOW: Final = Fault(400, "Throttling.Api", "Request was denied due to api flow control.")
THROTTLED: Final = Fault(400, "Throttling", "Request was denied due to request throttling.")
#: Ours: neither the document nor the gateway names a code for its limits.
TOO_LARGE: Final = Fault(413, "RequestEntityTooLarge", "The request is larger than this service accepts.")

#: What is raised below this room: every leaf of the trees of client and fetcher, and single exceptions.
RAISED: Final[dict[type[Exception], Fault]] = {
    client.PictureUnreadable: IMAGE_VALUE_PATTERN,
    client.PictureTooLarge: IMAGE_VALUE_PATTERN,
    client.RegionInvalid: COMPARE_FACES_ERROR,
    client.TemplatesNotComparable: COMPARE_FACES_ERROR,
    # A restarting engine is back within seconds: to a caller it is as busy as a full one.
    client.EngineUnavailable: API_FLOW,
    BodiesFull: THROTTLED,
    client.EngineBusy: API_FLOW,
    RateExceeded: USER_FLOW,
    client.EngineTimeout: COMPARE_FACES_ERROR,
    client.EngineFault: COMPARE_FACES_ERROR,
    fetch.FetchRefused: IMAGE_VALUE_PATTERN,
    fetch.FetchFailed: IMAGE_VALUE_PATTERN,
    fetch.FetchTooLarge: IMAGE_VALUE_PATTERN,
    fetch.FetchTimeout: IMAGE_VALUE_PATTERN,
    images.PictureHeaderInvalid: IMAGE_VALUE_PATTERN,
    images.Base64Invalid: IMAGE_VALUE_PATTERN,
    BodyTooLarge: TOO_LARGE,
    # Read by a caller whose body was too slow; one who left reads nothing.
    ClientDisconnect: PARAM_MISSING,
    TooManyFields: TOO_LARGE,
    StateUnavailable: INTERNAL_ERROR,
}


def fault_of(error: Exception) -> Fault:
    """The row of an exception that RAISED names."""
    return next(fault for kind, fault in RAISED.items() if isinstance(error, kind))
