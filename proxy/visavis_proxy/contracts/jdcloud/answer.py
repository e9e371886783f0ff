"""返回说明: the envelope, the business result, and the gateway's error; keys in the order of the example.

The document's tables call scores, angles and positions floats; its example, a real answer, shows them as strings
with two decimals, and so do we.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import orjson

from visavis_client.faces import Face, PictureAnalysis
from visavis_proxy.contracts.jdcloud.checks import posture_valid
from visavis_proxy.contracts.jdcloud.errors import BusinessCode, GatewayError, SystemCode
from visavis_proxy.contracts.jdcloud.settings import PostureLimits

CALLED: Final = "10000"
CHARGED_MSG: Final = "查询成功,扣费"
NOT_CHARGED_MSG: Final = "查询成功"

Json = dict[str, object]


class Stopwatch:
    """Begins with the request's last byte."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = time.perf_counter()

    @property
    def elapsed_ms(self) -> int:
        """processTimeInMs."""
        return round((time.perf_counter() - self._began) * 1000)

    @property
    def timestamp_ms(self) -> int:
        """timestamp: milliseconds since the epoch."""
        return round(self._clock() * 1000)


def comparison_result(
    probe: PictureAnalysis, reference: PictureAnalysis, score: float, limits: PostureLimits, watch: Stopwatch
) -> Json:
    """``result`` of two compared pictures; ``score`` is on the vendor's scale already."""
    return {
        "code": 0,
        "faceItemsA": [_face_item(face, limits) for face in probe.faces],
        "faceItemsB": [_face_item(face, limits) for face in reference.faces],
        "msg": "Accept",
        "processTimeInMs": watch.elapsed_ms,
        "score": _decimal(score),
        "timestamp": watch.timestamp_ms,
    }


def business_error_result(code: BusinessCode, watch: Stopwatch) -> Json:
    """``result`` of a call that found no two faces to compare."""
    return {
        "code": int(code),
        "msg": code.name,
        "processTimeInMs": watch.elapsed_ms,
        "timestamp": watch.timestamp_ms,
    }


def called(result: Json, *, charge: bool, remain: int, request_id: str | None) -> bytes:
    """公共返回参数 around the result of a call that was made."""
    return _envelope(CALLED, CHARGED_MSG if charge else NOT_CHARGED_MSG, charge, remain, result, request_id)


def not_called(code: SystemCode, *, remain: int, request_id: str | None) -> bytes:
    """公共返回参数 of a call that was not made."""
    return _envelope(code.code, code.msg, False, remain, None, request_id)


def gateway_error(error: GatewayError, *, request_id: str) -> bytes:
    """The gateway's own shape."""
    status = {"status": error.status.name, "code": int(error.status), "message": error.message}
    return orjson.dumps({"requestId": request_id, "error": status})


def _envelope(code: str, msg: str, charge: bool, remain: int, result: Json | None, request_id: str | None) -> bytes:
    envelope: Json = {
        "code": code,
        "charge": charge,
        "remain": remain,
        "remainTimes": remain,
        "remainSeconds": -1,
        "msg": msg,
        "result": result,
    }
    if request_id is not None:
        envelope["requestId"] = request_id
    return orjson.dumps(envelope)


def _face_item(face: Face, limits: PostureLimits) -> Json:
    box, pose = face.box, face.pose
    return {
        "blurScore": _decimal(face.sharpness),
        "boundingBox": {
            "height": _decimal(box.height),
            "left": _decimal(box.left),
            "top": _decimal(box.top),
            "width": _decimal(box.width),
        },
        "isValidPosture": posture_valid(pose, limits),
        "posture": {"pitch": _decimal(pose.pitch), "roll": _decimal(pose.roll), "yaw": _decimal(pose.yaw)},
    }


def _decimal(number: float) -> str:
    """Two decimals, and no minus before a zero."""
    return f"{number:z.2f}"
