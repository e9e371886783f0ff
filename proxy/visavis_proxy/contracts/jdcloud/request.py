"""二、请求说明: the body, ``{"imgBase64A": "…", "imgBase64B": "…"}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from visavis_proxy.contracts.jdcloud.errors import BusinessCode, BusinessError

PROBE: Final = "imgBase64A"
REFERENCE: Final = "imgBase64B"


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """Two pictures as Base64 text, neither of them empty."""

    probe: str
    reference: str


def read_question(body: bytes) -> Question:
    """Read the body by its content, whatever the Content-Type says; keys beside the two are ignored.

    Raises:
        BusinessError: 31, it is not a JSON object; 1, a field is missing, empty or no string.
    """
    given = _parse(body)
    if isinstance(given, str):
        # The vendor's jdcloud-apim-sdk encodes a body that it is given as text once more.
        given = _parse(given)
    if not isinstance(given, dict):
        raise BusinessError(BusinessCode.RequestBodyIsNotJson)
    return Question(_field(given, PROBE), _field(given, REFERENCE))


def _parse(text: bytes | str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BusinessError(BusinessCode.RequestBodyIsNotJson) from None


def _field(given: dict[str, object], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise BusinessError(BusinessCode.NoRequiredFields)
    return value
