"""The fast percent-encoding says the same as the standard library's."""

from __future__ import annotations

from urllib.parse import quote_from_bytes, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from visavis_proxy import percent

#: Rich in escapes, whole, broken and nested.
ESCAPES = st.lists(st.sampled_from([b"%", b"%2", b"%2B", b"%2f", b"%25", b"%zz", b"41", b"+", b"=", b"a"])).map(
    b"".join
)


@given(st.binary() | ESCAPES)
def test_encode_is_rfc_3986(plain: bytes) -> None:
    """Unreserved characters stay, every other byte becomes an upper-case escape."""
    assert percent.encode(plain).decode() == quote_from_bytes(plain, safe="~")


@given(st.binary() | ESCAPES)
def test_encode_twice_is_encode_of_encode(plain: bytes) -> None:
    """One pass does what two passes do."""
    assert percent.encode_twice(plain) == percent.encode(percent.encode(plain))


@given(st.binary() | ESCAPES)
def test_decode_form_is_the_standard_librarys(wire: bytes) -> None:
    """Blanks, whole and broken escapes are read as urllib reads them."""
    assert percent.decode_form(wire) == unquote_to_bytes(wire.replace(b"+", b" "))


@given(st.binary())
def test_decode_undoes_encode(plain: bytes) -> None:
    """What was encoded comes back."""
    assert percent.decode_form(percent.encode(plain)) == plain
