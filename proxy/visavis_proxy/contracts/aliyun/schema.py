"""The document's tables as OpenAPI, for the service's own description of itself."""

from __future__ import annotations

from typing import Any, Final

from visavis_proxy.contracts.aliyun.checks import ACTION, TYPES, VERSIONS

_TYPE: Final = {"type": "string", "enum": sorted(TYPES)}
_VALUE: Final = {"type": "string", "description": "http://…, https://… or base64://…"}
#: "请求参数", position body.
_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["SourceImageType", "SourceImageValue", "TargetImageType", "TargetImageValue"],
    "properties": {
        "SourceImageType": _TYPE,
        "SourceImageValue": _VALUE,
        "TargetImageType": _TYPE,
        "TargetImageValue": _VALUE,
    },
}


def _query(name: str, **schema: object) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": {"type": "string", **schema}}


#: "返回参数" within the envelope of the example.
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["Code", "Data", "RequestId", "Success"],
    "additionalProperties": False,
    "properties": {
        "Code": {"const": "1"},
        "Data": {
            "type": "object",
            "required": ["ConfidenceThresholds", "SimilarityScore"],
            "additionalProperties": False,
            "properties": {
                "ConfidenceThresholds": {
                    "type": "string",
                    "description": "A JSON object: false match rate, threshold.",
                },
                "SimilarityScore": {"type": "number", "minimum": 0, "maximum": 100},
            },
        },
        "RequestId": {"type": "string", "format": "uuid"},
        "Success": {"const": True},
    },
}
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["RequestId", "HostId", "Code", "Message"],
    "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("RequestId", "HostId", "Code", "Message")},
}


def _in_both_formats(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    # XML is written with the same names; only JSON is described to the letter.
    return {"description": description, "content": {"application/json": {"schema": schema}, "text/xml": {}}}


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: _in_both_formats("Compared.", _ANSWER),
    400: _in_both_formats("A parameter, the signature or a picture is at fault, or the rate is too high.", _ERROR),
    403: _in_both_formats("A value is empty, or the key may not call this service.", _ERROR),
    404: _in_both_formats("No such action or key.", _ERROR),
    413: _in_both_formats("Larger than the service accepts.", _ERROR),
    500: _in_both_formats("The service is at fault.", _ERROR),
}

OPERATION: Final[dict[str, Any]] = {
    "parameters": [
        _query("Action", enum=[ACTION]),
        _query("Version", enum=sorted(VERSIONS)),
        _query("Format", enum=["JSON", "XML"]),
        _query("RegionId"),
        *(_query(name) for name in ("AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce")),
        *(_query(name) for name in ("Timestamp", "Signature")),
    ],
    "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _BODY}}},
}
