"""The forms in which fields arrive: multipart/form-data, urlencoded, and the query string beneath either."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from visavis_proxy.percent import decode_form

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: A call has at most a dozen.
MAX_FIELDS: Final = 64
MULTIPART: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class FormField:
    """A value as it came; a file's content or a text's bytes."""

    value: bytes = field(repr=False)
    is_file: bool = False

    @property
    def is_given(self) -> bool:
        """A blank text is as good as none; an empty file is a file."""
        return bool(self.value) or self.is_file


class FormMalformed(Exception):
    """Not what its Content-Type says, or more fields than any client sends; ``args[0]`` names the form."""


class ValuesDiffer(Exception):
    """One field twice with different values."""


Fields = dict[str, FormField]


def read_fields(content_type: str, query: bytes, body: bytes, names: Set[str]) -> Fields:
    """The fields of a request that go by these names; a field of the body hides one of the query.

    A body that is neither form holds no fields.

    Raises:
        FormMalformed, ValuesDiffer: the body or the query is at fault.
    """
    kind, options = parse_options_header(content_type or URLENCODED)
    fields: Fields = {}
    if kind == MULTIPART.encode():
        fields = _multipart(options.get(b"boundary", b""), body, names)
    elif kind == URLENCODED.encode():
        fields = _urlencoded(body, names)
    return _urlencoded(query, names) | fields


def _add(fields: Fields, names: Set[str], name: bytes, value: FormField) -> None:
    text = name.decode("utf-8", "replace")
    if text in names and fields.setdefault(text, value).value != value.value:
        raise ValuesDiffer


def _urlencoded(text: bytes, names: Set[str]) -> Fields:
    if text.count(b"&") >= MAX_FIELDS:
        raise FormMalformed(URLENCODED)
    fields: Fields = {}
    for pair in text.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name:
            _add(fields, names, decode_form(name), FormField(decode_form(value)))
    return fields


def _multipart(boundary: bytes, body: bytes, names: Set[str]) -> Fields:
    if not boundary:
        raise FormMalformed(MULTIPART)
    parts = _Parts(names)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise FormMalformed(MULTIPART) from error
    if not parts.is_complete:
        raise FormMalformed(MULTIPART)
    return parts.fields


class _Parts:
    """Collects the parts of a multipart body in memory."""

    def __init__(self, names: Set[str]) -> None:
        self.fields: Fields = {}
        self._names = names
        self.is_complete = False
        self._count = 0
        self._disposition = b""
        self._header = b""
        self._text = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """As the parser wants them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._collect_header,
            "on_header_value": self._collect_header_value,
            "on_header_end": self._end_header,
            "on_part_data": self._collect,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise FormMalformed(MULTIPART)
        self._disposition, self._header = b"", b""
        self._text.clear()
        self._value.clear()

    def _collect_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _collect_header_value(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._text)
        self._header = b""
        self._text.clear()

    def _collect(self, data: bytes, start: int, end: int) -> None:
        self._value += memoryview(data)[start:end]

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if not name:
            raise FormMalformed(MULTIPART)
        # A browser sends an empty filename for a file that nobody chose.
        _add(self.fields, self._names, name, FormField(bytes(self._value), bool(options.get(b"filename"))))

    def _finish(self) -> None:
        self.is_complete = True
