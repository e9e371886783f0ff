"""The parser of forms, alone: what it reads, what it refuses, and that nothing else can come out of it."""

from __future__ import annotations

import time
from collections.abc import Set
from urllib.parse import parse_qsl, quote_plus, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visavis_proxy.contracts.facepp.forms import (
    MAX_FIELDS,
    URLENCODED,
    Fields,
    FormField,
    FormMalformed,
    ValuesDiffer,
    read_fields,
)

KNOWN = frozenset({"a", "b", "x", "chosen", "none", "text"})
NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable() and not set(name) & set('"\\'))


def fields_of(content_type: str, query: bytes, body: bytes, names: Set[str] = KNOWN) -> Fields:
    return read_fields(content_type, query, body, names)


def multipart(*parts: bytes, end: bytes = b"--b--\r\n") -> Fields:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end
    return fields_of("multipart/form-data; boundary=b", b"", body)


def part(name: str, value: bytes, rest: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{rest}\r\n\r\n'.encode() + value


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.binary(max_size=60), max_size=8))
def test_urlencoded_is_undone(fields: dict[str, bytes]) -> None:
    """Whatever an encoder writes comes back, in the body and in the query."""
    encoded = urlencode(fields).encode()
    for read in (fields_of(URLENCODED, b"", encoded, fields.keys()), fields_of("", encoded, b"", fields.keys())):
        assert {name: field.value for name, field in read.items()} == fields


@given(st.text(alphabet="%+/=2BbFf3Dd5 az&", max_size=40))
def test_urlencoded_agrees_with_the_standard_library(text: str) -> None:
    """The short cut through base64's characters undoes nothing twice: it reads as the standard library does."""
    expected = dict(parse_qsl(f"x={text.replace('&', '')}", keep_blank_values=True, encoding="latin-1"))
    read = fields_of(URLENCODED, b"", f"x={text.replace('&', '')}".encode())
    assert {name: field.value.decode("latin-1") for name, field in read.items()} == expected


@given(st.dictionaries(NAMES, st.binary(max_size=60), max_size=8))
def test_multipart_is_undone(fields: dict[str, bytes]) -> None:
    """What a common client writes comes back, dashes and line breaks in the values included."""
    files = {name: ("x.jpg", value) for name, value in fields.items()}
    if not files:
        return
    request = httpx.Request("POST", "http://x", files=files)
    read = fields_of(request.headers["content-type"], b"", request.read(), fields.keys())
    assert {name: field.value for name, field in read.items()} == fields
    assert all(field.is_file for field in read.values())


def test_an_empty_file_is_a_file_and_one_that_nobody_chose_is_none() -> None:
    """A browser's field without a choice has an empty filename, and counts as not given."""
    read = multipart(part("chosen", b"", '; filename="x.jpg"'), part("none", b"", '; filename=""'), part("text", b""))
    assert {name: field.is_given for name, field in read.items()} == {"chosen": True, "none": False, "text": False}


def test_the_body_hides_the_query() -> None:
    """A name that both have is read from the body."""
    assert fields_of(URLENCODED, b"a=1&b=2", b"a=3") == {"a": FormField(b"3"), "b": FormField(b"2")}


def test_a_body_of_another_kind_holds_no_fields() -> None:
    """JSON is no form."""
    assert fields_of("application/json", b"a=1", b'{"b": 2}') == {"a": FormField(b"1")}


@pytest.mark.parametrize("kind", ["multipart/form-data", "Multipart/Form-Data; boundary=", "multipart/form-data; x=y"])
def test_multipart_without_a_boundary(kind: str) -> None:
    """There is nothing to cut at."""
    with pytest.raises(FormMalformed):
        fields_of(kind, b"", b"--\r\n")


@pytest.mark.parametrize(
    "parts", [(b"\r\nno headers",), (b"Content-Disposition: form-data\r\n\r\nx",), (part("", b"x"),), (b"garbage",)]
)
def test_parts_without_a_name(parts: tuple[bytes, ...]) -> None:
    """A part that says not what it is makes the form malformed."""
    with pytest.raises(FormMalformed):
        multipart(*parts)


def test_multipart_that_is_cut() -> None:
    """Without its last boundary a body is not all there, wherever it was cut."""
    whole = b"--b\r\n" + part("a", b"value", '; filename="x"') + b"\r\n--b--"
    for length in range(len(whole)):
        with pytest.raises(FormMalformed):
            fields_of("multipart/form-data; boundary=b", b"", whole[:length])


@pytest.mark.parametrize("values", [("1", "2"), ("", "1")])
def test_two_values_for_one_field(values: tuple[str, str]) -> None:
    """Nobody says which would count."""
    with pytest.raises(ValuesDiffer):
        multipart(*(part("a", value.encode()) for value in values))
    with pytest.raises(ValuesDiffer):
        fields_of(URLENCODED, b"", urlencode([("a", value) for value in values]).encode())


def test_one_value_twice_is_one_value() -> None:
    """Saying the same again does no harm."""
    assert multipart(part("a", b"1"), part("a", b"1")) == {"a": FormField(b"1")}


def test_what_no_one_reads_may_come_twice() -> None:
    """A field that a call does not know is ignored, whatever its values."""
    assert multipart(part("y", b"1"), part("a", b"1"), part("y", b"2")) == {"a": FormField(b"1")}
    assert fields_of(URLENCODED, b"y=1&y=2", b"y=3&a=1&y=4") == {"a": FormField(b"1")}


def test_crowds_of_fields_are_refused_at_once() -> None:
    """Megabytes of tiny fields cost next to nothing."""
    begun = time.process_time()
    with pytest.raises(FormMalformed):
        multipart(*(part("a", b"1") for _ in range(100_000)))
    with pytest.raises(FormMalformed):
        fields_of(URLENCODED, b"", b"a=1&" * 1_000_000)
    assert time.process_time() - begun < 0.5
    crowd = b"&".join(b"%d=1" % n for n in range(MAX_FIELDS))
    assert len(fields_of(URLENCODED, b"", crowd, {str(n) for n in range(MAX_FIELDS)})) == MAX_FIELDS


@given(
    st.sampled_from(["multipart/form-data; boundary=b", URLENCODED, "", "multipart/form-data; boundary=é"])
    | st.text(st.characters(max_codepoint=255), max_size=40),
    st.binary(max_size=40),
    st.binary(max_size=120).map(lambda junk: junk.replace(b"!", b"\r\n--b")),
)
def test_any_body_gives_fields_or_one_of_two_errors(kind: str, query: bytes, body: bytes) -> None:
    """Nothing but FormMalformed and ValuesDiffer is ever raised."""
    try:
        fields_of(kind, query, body)
    except (FormMalformed, ValuesDiffer):
        return


def test_base64_of_the_largest_picture_is_read_fast() -> None:
    """2 MiB of percent-encoded base64 take some tens of milliseconds at worst."""
    text = quote_plus("+/=a" * (700 * 2**10)).encode()
    begun = time.process_time()
    assert len(fields_of(URLENCODED, b"", b"x=" + text)["x"].value) == 4 * 700 * 2**10
    assert time.process_time() - begun < 0.5


def test_a_body_of_nothing_but_escapes_is_read_fast() -> None:
    """Whoever has no key yet cannot hold up the callers who have one."""
    begun = time.process_time()
    assert fields_of(URLENCODED, b"", b"x=" + b"%41" * 2**21)["x"].value == b"A" * 2**21
    assert time.process_time() - begun < 0.5
