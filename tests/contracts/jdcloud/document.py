"""What the document and WIRE.md §2 name: the list against which the tests of this room are held.

Committed, so that the tests know it where the documents are not at hand; where they are, ``test_document.py`` reads
them and compares.
"""

from __future__ import annotations

from pathlib import Path

CONTRACT = "jdcloud"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "contracts"

#: The tables of parameters, of the request and of the answer, in the document's order.
REQUEST_FIELDS = ("Authorization", "imgBase64A", "imgBase64B")
ENVELOPE_FIELDS = ("code", "charge", "remain", "msg", "result")
RESULT_FIELDS = (
    "result.code",
    "result.msg",
    "result.processTimeInMs",
    "result.timestamp",
    "result.score",
    "result.faceItemsA",
    "result.faceItemsB",
)
FACE_FIELDS = (
    "faceItem.boundingBox",
    "faceItem.boundingBox.left",
    "faceItem.boundingBox.top",
    "faceItem.boundingBox.width",
    "faceItem.boundingBox.height",
    "faceItem.posture",
    "faceItem.posture.yaw",
    "faceItem.posture.pitch",
    "faceItem.posture.roll",
    "faceItem.isValidPosture",
    "faceItem.blurScore",
)
#: The example alone shows them.
EXAMPLE_FIELDS = ("remainTimes", "remainSeconds")
#: 3.图片要求.
LIMITS = (
    "format bmp",
    "format jpg",
    "format jpeg",
    "format png",
    "format jfif",
    "at least 48*48",
    "at most 2048*2048",
    "base64 at most 2MB",
)
FIELDS = (*REQUEST_FIELDS, *ENVELOPE_FIELDS, *RESULT_FIELDS, *FACE_FIELDS, *EXAMPLE_FIELDS, *LIMITS)

#: 业务错误码: every row, number and msg.
BUSINESS = {
    1: "NoRequiredFields",
    2: "ImageIsTooSmall",
    3: "ImageIsTooLarge",
    4: "Base64IsInvalid",
    5: "Base64IsTooLarge",
    10: "NoFaceDetected",
    11: "InvalidFaceQuality",
    12: "InvalidFacePosture",
    15: "FeatureCompareFail",
    31: "RequestBodyIsNotJson",
    41: "TimeoutException",
}
#: The rows of the vendor's system table that this service produces; docs/contracts/jdcloud.md says why not the rest.
SYSTEM = {
    "10000": "查询成功",
    "10020": "系统繁忙，请稍后再试",
    "10040": "超过每天限量，请明天继续",
    "10043": "超过QPS限额，请降低调用频率或与京东智联云联系",
    "10048": "无接口权限，请下单购买",
    "10050": "用户已被禁用",
    "11010": "发布方接口调用异常，请稍后再试",
    "11030": "发布方接口返回格式有误",
}
#: The statuses of the vendor's gateway that this service produces.
GATEWAY = {"OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401, "NOT_FOUND": 404, "CANCELLED": 499, "INTERNAL": 500}
ERRORS = (
    *(f"{code} {msg}" for code, msg in BUSINESS.items()),
    *SYSTEM,
    *(f"{code} {status}" for status, code in GATEWAY.items()),
)

EXAMPLES = (
    "Authorization of the header table",
    "2、返回示例",
    "score thresholds of three false match rates",
    "WIRE.md §2.2: vendor's published signature",
    "WIRE.md §2.2: captured signature",
    "jdcloud-apim-sdk",
    "jdcloud-sdk",
)
