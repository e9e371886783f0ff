"""返回值说明: the answers' bodies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.responses import Response

from visavis_client.vendor_scales import FACEPP
from visavis_proxy.contracts.facepp.errors import REQUEST_ENTITY_TOO_LARGE, Refusal
from visavis_proxy.contracts.facepp.faces import SeenPicture

#: False match rates and the confidences beside them, in the order of the document's example.
THRESHOLDS: Final[Mapping[str, float]] = {rate: FACEPP.thresholds[float(rate)] for rate in ("1e-3", "1e-5", "1e-4")}


@dataclass(frozen=True, slots=True)
class Answers:
    """Writes the answers to one request."""

    request_id: str
    _begun: float = field(default_factory=time.perf_counter)

    @classmethod
    def at(cls, now: float) -> Answers:
        """A request that arrives now; ``now`` in seconds since the epoch."""
        return cls(f"{int(now)},{uuid.uuid4()}")

    def compared(
        self, confidence: float | None, pictures: Iterable[tuple[int, SeenPicture, Sequence[str]]]
    ) -> Response:
        """``confidence`` is None where a picture holds no face; ``pictures``: side (1, 2), picture, its tokens."""
        body: dict[str, Any] = {"time_used": self._time_used()}
        if confidence is not None:
            body |= {"confidence": confidence, "thresholds": THRESHOLDS}
        for side, picture, tokens in pictures:
            body |= {f"image_id{side}": picture.image_id, f"faces{side}": _faces(picture, tokens)}
        return self._json(200, body)

    def detected(self, picture: SeenPicture, tokens: Sequence[str]) -> Response:
        """The answer of detect."""
        body = {"time_used": self._time_used(), "image_id": picture.image_id, "faces": _faces(picture, tokens)}
        return self._json(200, body)

    def refused(self, refusal: Refusal) -> Response:
        """JSON, but for the one fault that is told in plain text."""
        if refusal.fault is REQUEST_ENTITY_TOO_LARGE:
            return Response(refusal.message, refusal.fault.status, media_type="text/plain")
        return self._json(refusal.fault.status, {"time_used": self._time_used(), "error_message": refusal.message})

    def _json(self, status: int, body: dict[str, Any]) -> Response:
        return Response(orjson.dumps(body | {"request_id": self.request_id}), status, media_type="application/json")

    def _time_used(self) -> int:
        """Milliseconds."""
        return round((time.perf_counter() - self._begun) * 1000)


def _faces(picture: SeenPicture, tokens: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "face_token": token,
            "face_rectangle": {
                "top": face.rectangle.top,
                "left": face.rectangle.left,
                "width": face.rectangle.width,
                "height": face.rectangle.height,
            },
        }
        for face, token in zip(picture.faces, tokens, strict=True)
    ]
