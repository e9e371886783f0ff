"""Answers in JSON and XML; both say the same."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET  # Written with, never read with.
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import orjson
from starlette.responses import Response

from visavis_client.vendor_scales import ALIYUN
from visavis_proxy.contracts.aliyun.errors import FORMAT_INVALID, Refusal

HOST_ID: Final = "cloudauth.aliyuncs.com"
#: False match rates and thresholds as the document prints them, in its order.
CONFIDENCE_THRESHOLDS: Final[Mapping[str, str]] = {
    f"{rate:g}": f"{value:.2f}" for rate, value in ALIYUN.thresholds.items()
}

_THRESHOLDS_TEXT = orjson.dumps(CONFIDENCE_THRESHOLDS).decode()
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Children = Mapping[str, "str | float | bool | Children"]


class Format(StrEnum):
    """The parameter ``Format``."""

    JSON = "JSON"
    XML = "XML"

    @classmethod
    def named(cls, name: str) -> Format:
        """JSON where the caller names none; the case of the name does not matter.

        Raises:
            Refusal: InvalidParameter.Format.
        """
        try:
            return cls(name.upper() or cls.JSON)
        except ValueError:
            raise Refusal(FORMAT_INVALID) from None


@dataclass(slots=True)
class Answers:
    """Writes the answers to one request, in the format that its caller asked for once that is known."""

    format: Format = Format.JSON
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()).upper())

    def choose(self, name: str) -> None:
        """Answer in the format of that name from now on.

        Raises:
            Refusal: InvalidParameter.Format.
        """
        self.format = Format.named(name)

    def success(self, similarity: float) -> Response:
        """``similarity`` on the vendor's scale, 0 to 100."""
        data: Children = {"ConfidenceThresholds": _THRESHOLDS_TEXT, "SimilarityScore": similarity}
        if self.format is Format.XML:
            return self._xml(
                200, "CompareFacesResponse", {"RequestId": self.request_id, "Data": data, "Success": True, "Code": "1"}
            )
        return self._json(200, {"Code": "1", "Data": data, "RequestId": self.request_id, "Success": True})

    def failure(self, refusal: Refusal) -> Response:
        """A row of the error table."""
        children = {
            "RequestId": self.request_id,
            "HostId": HOST_ID,
            "Code": refusal.fault.code,
            "Message": refusal.message,
        }
        if self.format is Format.XML:
            return self._xml(refusal.fault.status, "Error", children)
        return self._json(refusal.fault.status, children)

    def _json(self, status: int, children: Children) -> Response:
        return self._response(status, orjson.dumps(children), "application/json;charset=utf-8")

    def _xml(self, status: int, root: str, children: Children) -> Response:
        element = _grow(ET.Element(root), children)
        text: bytes = ET.tostring(element, encoding="UTF-8", xml_declaration=True)
        # The acs client reads errors only under exactly this content type.
        return self._response(status, text, "text/xml;charset=utf-8")

    def _response(self, status: int, content: bytes, content_type: str) -> Response:
        return Response(content, status, {"content-type": content_type, "x-acs-request-id": self.request_id})


def _grow(element: ET.Element, children: Children) -> ET.Element:
    for name, value in children.items():
        child = ET.SubElement(element, name)
        if isinstance(value, Mapping):
            _grow(child, value)
        elif isinstance(value, bool):
            child.text = "true" if value else "false"
        else:
            child.text = _NOT_IN_XML.sub("\ufffd", str(value))
    return element
