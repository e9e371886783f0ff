"""An address of a Triton is read once, and what is none is told in a sentence."""

from __future__ import annotations

import pytest

from visavis_client.address import TritonAddress


@pytest.mark.parametrize(
    ("text", "host", "port", "by_http"),
    [
        ("127.0.0.1:8001", "127.0.0.1", 8001, False),
        ("http://triton:8000", "triton", 8000, True),
        ("my_triton-0.models.svc:65535", "my_triton-0.models.svc", 65535, False),
        ("http://[fe80::1]:8000", "fe80::1", 8000, True),
    ],
)
def test_an_address_says_where_and_by_which_protocol(text: str, host: str, port: int, by_http: bool) -> None:
    """An IPv6 address is connected to without its brackets, and written with them."""
    address = TritonAddress.parse(text)
    assert (address.host, address.port, address.by_http) == (host, port, by_http)
    assert address.authority == text.removeprefix("http://")


@pytest.mark.parametrize(
    "text",
    [
        *("", "triton", "triton:", ":8000", "triton:none", "triton:0", "triton:65536", "triton:8000/", "a b:8000"),
        *("http://triton", "http://triton:8000/", "https://triton:8000", "grpc://triton:8001", "HTTP://triton:8000"),
        *("http://user:password@triton:8000", "fe80::1:8000", "[triton]:8000", "trïton:8000", "triton:\u0661\u0662"),
    ],
)
def test_what_is_none_is_refused_without_being_repeated(text: str) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match=r"^an address is host:port, asked by gRPC, or http://host:port") as refusal:
        TritonAddress.parse(text)
    assert "password" not in str(refusal.value)
