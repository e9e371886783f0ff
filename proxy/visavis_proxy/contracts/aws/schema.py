"""The document's two parameter tables as OpenAPI, for the service's own description of itself."""

from __future__ import annotations

from typing import Any, Final

_FRACTION: Final = {"type": "number", "description": "Share of the picture's width or height."}

#: "Response parameters".
ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["Faces", "FaceModelVersion"],
    "additionalProperties": False,
    "properties": {
        "Faces": {
            "type": "array",
            "description": "All faces of the picture, the surest first.",
            "items": {
                "type": "object",
                "required": ["BoundingBox", "Confidence", "face_hash"],
                "additionalProperties": False,
                "properties": {
                    "BoundingBox": {
                        "type": "object",
                        "required": ["Width", "Height", "Left", "Top"],
                        "additionalProperties": False,
                        "properties": dict.fromkeys(("Width", "Height", "Left", "Top"), _FRACTION),
                    },
                    "Confidence": {"type": "number", "minimum": 0, "maximum": 1},
                    "face_hash": {"type": "array", "items": {"type": "number"}, "minItems": 768, "maxItems": 768},
                },
            },
        },
        "FaceModelVersion": {"type": "string"},
    },
}

#: "Request body parameters": one of the two.
QUESTION: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["url"],
            "properties": {
                "url": {"type": "string", "description": "http, https or s3; jpg, png or bmp, up to 4096 px."}
            },
            "not": {"required": ["img"]},
        },
        {
            "type": "object",
            "required": ["img"],
            "properties": {"img": {"type": "string", "description": "The picture in base64."}},
            "not": {"required": ["url"]},
        },
    ]
}

_GATEWAY: Final[dict[str, Any]] = {
    "application/json": {
        "schema": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
    }
}
# Labelled application/json on the wire, and yet no JSON: only a schema that allows everything tells no lie.
_BARE_TEXT: Final[dict[str, Any]] = {"application/json": {"schema": {}}}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The faces; none is an ordinary answer.", "content": {"application/json": {"schema": ANSWER}}},
    400: {"description": "A parameter is at fault; bare text.", "content": _BARE_TEXT},
    403: {"description": "Not signed, or not rightly.", "content": _GATEWAY},
    413: {"description": "More than 10 MB.", "content": _GATEWAY},
    415: {"description": "-ml only: not labelled application/json; bare text.", "content": _BARE_TEXT},
    429: {"description": "Too many requests.", "content": _GATEWAY},
    502: {"description": "What stands behind the gateway failed.", "content": _GATEWAY},
    504: {"description": "What stands behind the gateway took too long.", "content": _GATEWAY},
}

OPERATION: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": QUESTION}}},
}
