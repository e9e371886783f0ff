"""The room's operations in the words of OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from visavis_proxy.contracts.facepp.errors import DOCUMENTED, REQUEST_ENTITY_TOO_LARGE
from visavis_proxy.contracts.facepp.request import COMPARE, DETECT, Parameters

_TEXT: Final = {"type": "string"}
_INTEGER: Final = {"type": "integer"}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_RECTANGLE: Final = _object(dict.fromkeys(("top", "left", "width", "height"), _INTEGER))
_FACES: Final = {"type": "array", "items": _object({"face_token": _TEXT, "face_rectangle": _RECTANGLE})}
_ALWAYS: Final = {"request_id": _TEXT, "time_used": _INTEGER}
_CONFIDENCE: Final = {"type": "number", "minimum": 0, "maximum": 100}

ANSWER: Final = _object(
    {
        **_ALWAYS,
        "confidence": _CONFIDENCE,
        "thresholds": _object(dict.fromkeys(("1e-3", "1e-4", "1e-5"), _CONFIDENCE)),
        "image_id1": _TEXT,
        "image_id2": _TEXT,
        "faces1": _FACES,
        "faces2": _FACES,
        "image_id": _TEXT,
        "faces": _FACES,
    },
    ("request_id", "time_used"),
)
FAILURE: Final = _object({**_ALWAYS, "error_message": _TEXT}, ("request_id", "time_used", "error_message"))


def _responses() -> dict[int | str, dict[str, Any]]:
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "Answered; no face is an answer.", "content": {"application/json": {"schema": ANSWER}}}
    }
    for status in sorted({fault.status for fault in DOCUMENTED}):
        codes = ", ".join(fault.code for fault in DOCUMENTED if fault.status == status)
        content = {"application/json": {"schema": FAILURE}}
        if status == REQUEST_ENTITY_TOO_LARGE.status:
            content = {"text/plain": {"schema": _TEXT}}
        answers[status] = {"description": codes, "content": content}
    return answers


RESPONSES: Final = _responses()


def _operation(*sides: Parameters) -> dict[str, Any]:
    texts = [name for side in sides for name in (side.token, side.url, side.base64, side.rectangle) if name]
    properties: dict[str, Any] = dict.fromkeys(("api_key", "api_secret", *texts), _TEXT)
    files = {side.file: {"type": "string", "format": "binary"} for side in sides}
    required = ("api_key", "api_secret")
    content = {
        "multipart/form-data": {"schema": _object(properties | files, required)},
        "application/x-www-form-urlencoded": {"schema": _object(properties, required)},
    }
    return {"requestBody": {"required": True, "content": content}}


COMPARE_OPERATION: Final = _operation(*COMPARE)
DETECT_OPERATION: Final = _operation(DETECT)
