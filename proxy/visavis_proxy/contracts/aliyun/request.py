"""A call as it came: parameters of query and form, parsed once, and the raw bytes that signatures are made over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from visavis_proxy import percent

#: Decoded names and values, in the order of the wire; blank values stay, for they are signed.
Fields = tuple[tuple[bytes, bytes], ...]

#: The document's call has nine to fifteen.
MAX_FIELDS = 128
_FORM = "application/x-www-form-urlencoded"


class TooManyFields(Exception):
    """More parameters than any client sends."""


@dataclass(frozen=True, slots=True)
class AcsRequest:
    """One request; pictures and secrets of the caller stay out of its repr."""

    method: str
    path: str
    query: Fields = field(repr=False)
    form: Fields = field(repr=False)
    #: Names in lower case; values as sent, as latin-1.
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def value(self, name: str) -> bytes:
        """A parameter's bytes, the query before the form; empty when absent or blank."""
        wanted = name.encode()
        return next((value for key, value in (*self.query, *self.form) if key == wanted), b"")

    def text(self, name: str) -> str:
        """A parameter as text; bytes that are no UTF-8 become replacement characters."""
        return self.value(name).decode("utf-8", "replace")

    def header(self, name: str) -> str:
        """A header without outer blanks; repeated ones sorted and joined, as signatures want them; else empty."""
        return ",".join(sorted(value.strip() for key, value in self.headers if key == name))

    def has_header(self, name: str) -> bool:
        """Whether it was sent, if only empty."""
        return any(key == name for key, _ in self.headers)

    def public(self, name: str, header: str) -> str:
        """A public parameter, which may also come as a header."""
        return self.text(name) or self.header(header)


def parse(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> AcsRequest:
    """Take a request apart; ``target`` is path and query as they stood in the request line.

    Raises:
        TooManyFields: in query or form.
    """
    path, _, query = target.partition("?")
    lowered = tuple((name.lower(), value) for name, value in headers)
    kind = next((value for name, value in lowered if name == "content-type"), _FORM)
    is_form = kind.partition(";")[0].strip().lower() == _FORM
    return AcsRequest(method, path, fields(query.encode("latin-1")), fields(body) if is_form else (), lowered, body)


def fields(encoded: bytes) -> Fields:
    """Split form encoding.

    Raises:
        TooManyFields: more than MAX_FIELDS.
    """
    if encoded.count(b"&") >= MAX_FIELDS:
        raise TooManyFields
    pairs = (pair.partition(b"=") for pair in encoded.split(b"&") if pair)
    return tuple((percent.decode_form(name), percent.decode_form(value)) for name, _, value in pairs)
