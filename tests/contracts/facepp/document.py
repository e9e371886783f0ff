"""What the document names: the list against which the tests of this room are held.

Committed, so that the tests know it where the document is not at hand; where it is, ``test_document.py`` reads it
and compares.
"""

from __future__ import annotations

from pathlib import Path

CONTRACT = "facepp"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "contracts"

#: 图片要求
REQUIREMENTS = ("图片格式", "图片像素尺寸", "图片文件大小", "最小人脸像素尺寸")

#: 请求参数, in the table's order.
PARAMETERS = (
    "api_key",
    "api_secret",
    "face_token1",
    "image_url1",
    "image_file1",
    "image_base64_1",
    "face_token2",
    "image_url2",
    "image_file2",
    "image_base64_2",
    "face_rectangle1",
    "face_rectangle2",
)

#: 返回值说明, in the table's order, and its members that only the text names.
ANSWER = (
    "request_id",
    "confidence",
    "thresholds",
    "image_id1",
    "image_id2",
    "faces1",
    "faces2",
    "time_used",
    "error_message",
)
THRESHOLDS = ("1e-3", "1e-4", "1e-5")
#: faces1和faces2数组中单个元素的结构
FACE = ("face_token", "face_rectangle")
RECTANGLE = ("top", "left", "width", "height")

FIELDS = (
    *REQUIREMENTS,
    *PARAMETERS,
    *ANSWER,
    *(f"thresholds.{rate}" for rate in THRESHOLDS),
    *FACE,
    *(f"face_rectangle.{side}" for side in RECTANGLE),
)

#: The rows of both error tables: error message, then HTTP status.
ERRORS = {
    "INVALID_FACE_TOKEN: <face_token>": 400,
    "IMAGE_ERROR_UNSUPPORTED_FORMAT: <param>": 400,
    "INVALID_IMAGE_SIZE: <param>": 400,
    "INVALID_IMAGE_URL: <param>": 400,
    "IMAGE_FILE_TOO_LARGE: <param>": 400,
    "INSUFFICIENT_PERMISSION:<param>": 403,
    "IMAGE_DOWNLOAD_TIMEOUT: <param>": 412,
    "AUTHENTICATION_ERROR": 401,
    "AUTHORIZATION_ERROR: <reason>": 403,
    "CONCURRENCY_LIMIT_EXCEEDED": 403,
    "MISSING_ARGUMENTS: <key>": 400,
    "BAD_ARGUMENTS: <key>": 400,
    "COEXISTENCE_ARGUMENTS": 400,
    "Request Entity Too Large": 413,
    "API_NOT_FOUND": 404,
    "INTERNAL_ERROR": 500,
}
#: The reasons that AUTHORIZATION_ERROR names.
REASONS = ("Denied by Client", "Denied by Admin", "Insufficient Account Balance")

EXAMPLES = ("成功请求返回值示例", "失败请求返回值示例", "调用示例", "face_rectangle: 70,80,100,100")
