"""What aliyun.md and WIRE.md §1 name: the list against which the tests of this room are held.

Committed, so that the tests know it where the documents are not at hand; where they are, ``test_document.py`` reads
them and compares.
"""

from __future__ import annotations

from pathlib import Path

CONTRACT = "aliyun"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "contracts"

REQUEST_FIELDS = (
    "Action",
    "RegionId",
    "SourceImageType",
    "SourceImageValue",
    "TargetImageType",
    "TargetImageValue",
)
ANSWER_FIELDS = ("SimilarityScore", "ConfidenceThresholds")
#: First columns of the two parameter tables.
FIELDS = (*REQUEST_FIELDS, *ANSWER_FIELDS)

#: The fenced blocks of the document, in order, and the two signed requests of WIRE.md §1.3.
EXAMPLES = (
    "aliyun.md: request",
    "aliyun.md: XML answer",
    "aliyun.md: JSON answer",
    "WIRE.md §1.3: RPC request",
    "WIRE.md §1.3: V3 request",
)

#: The document's error table: code, then status and message.
DOCUMENT_ERRORS = {
    "Error.InternalError": (500, "The request processing has failed due to some unknown error."),
    "InvalidParam.ParamMissing": (403, "Please check if there is param empty in your imput."),
    "Error.NoPermissionAccess": (403, "No permission to access our service."),
    "Error.CompareFacesError": (500, "CompareFaces action failed due to internal error."),
    "InvalidParam.ImageTypeEmpty": (400, "The image type is empty."),
    "InvalidParam.FacePicNotGiven": (400, "At least one of the two given images has a type of FacePic."),
    "InvalidParam.ImageValuePatternError": (400, "The pattern of value of given image is not acceptable."),
    "InvalidParam.ImageTypeInvalid": (400, "The image type is not valid."),
    "Error.NoFaceDetected": (400, "No face detected from given images."),
}
#: WIRE.md §1.3, §1.5 and §1.6; IncompleteSignature's and the three clock and nonce messages are the gateway's own.
GATEWAY_ERRORS = {
    **{
        f"Missing{name}": (400, f"{name} is mandatory for this action.")
        for name in ("AccessKeyId", "Timestamp", "SignatureNonce", "Signature", "Action", "Version")
    },
    "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
    "InvalidAccessKeyId.Inactive": (400, "Specified access key is disabled."),
    "SignatureDoesNotMatch": (400, "Specified signature "),
    "IncompleteSignature": (400, "The request signature does not conform to Aliyun standards."),
    "InvalidSignatureMethod": (400, "Specified signature method is not valid."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "InvalidAction.NotFound": (404, "Specified api is not found, please check your url and method."),
    "InvalidVersion": (400, "Specified parameter Version is not valid."),
    "InvalidParameter.Format": (400, "Specified parameter format is not valid."),
    "InvalidProtocol.NeedSsl": (400, "Your request is denied as lack of ssl protect."),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "Throttling.Api": (400, "Request was denied due to api flow control."),
    "Throttling": (400, "Request was denied due to request throttling."),
    "RequestEntityTooLarge": (413, "The request is larger than this service accepts."),
}
ERRORS = {**DOCUMENT_ERRORS, **GATEWAY_ERRORS}
