"""What the OpenAPI page says of this room, in the document's names."""

from __future__ import annotations

from typing import Any, Final

from visavis_proxy.contracts.jdcloud.errors import GatewayStatus

_PICTURE: Final = {"type": "string", "description": "Base64 of a bmp, jpg, jpeg, png or jfif, without a data: prefix"}
_ENVELOPE: Final = {
    "type": "object",
    "required": ["code", "charge", "remain", "remainTimes", "remainSeconds", "msg", "result"],
    "properties": {
        "code": {"type": "string"},
        "charge": {"type": "boolean"},
        "remain": {"type": "integer"},
        "remainTimes": {"type": "integer"},
        "remainSeconds": {"type": "integer"},
        "msg": {"type": "string"},
        "result": {"type": ["object", "null"]},
        "requestId": {"type": "string"},
    },
}
_GATEWAY_ERROR: Final = {
    "type": "object",
    "required": ["requestId", "error"],
    "properties": {
        "requestId": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["status", "code", "message"],
            "properties": {
                "status": {"type": "string"},
                "code": {"type": "integer"},
                "message": {"type": "string"},
            },
        },
    },
}

OPERATION: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Authorization",
            "in": "header",
            "required": True,
            "description": "JDCLOUD2-HMAC-SHA256 or JDCLOUD3-HMAC-SHA256",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["imgBase64A", "imgBase64B"],
                    "properties": {"imgBase64A": _PICTURE, "imgBase64B": _PICTURE},
                }
            }
        },
    },
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The envelope", "content": {"application/json": {"schema": _ENVELOPE}}},
    **{
        int(status): {"description": status.name, "content": {"application/json": {"schema": _GATEWAY_ERROR}}}
        for status in GatewayStatus
    },
}
