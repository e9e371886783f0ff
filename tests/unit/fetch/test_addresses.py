"""Which addresses may be connected to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visavis_proxy.fetch.addresses import Address, AddressRule, is_public, parse_address

#: IANA's special-purpose registries (RFC 6890 and its updates), multicast, and what clouds use inside.
NOT_PUBLIC = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fd00:ec2::254/128",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_neither_end_of_a_special_network_is_public(network: str) -> None:
    assert not is_public(ip_network(network)[0])
    assert not is_public(ip_network(network)[-1])


@given(st.sampled_from(NOT_PUBLIC).flatmap(lambda network: st.ip_addresses(network=network)))
def test_no_address_of_a_special_network_is_public(address: Address) -> None:
    assert not is_public(address)
    assert not AddressRule().permits(address)


@given(st.ip_addresses())
def test_what_is_public_is_global_and_for_one_host(address: Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


def carriers(inner: int) -> list[str]:
    """The IPv6 addresses that carry this IPv4 one, by their RFCs."""
    high, low = inner >> 16, inner & 0xFFFF
    flipped = inner ^ 0xFFFFFFFF
    return [
        f"::{high:x}:{low:x}",  # compatible, RFC 4291
        f"::ffff:{high:x}:{low:x}",  # mapped, RFC 4291
        f"::ffff:0:{high:x}:{low:x}",  # translated, RFC 2765
        f"64:ff9b::{high:x}:{low:x}",  # NAT64, RFC 6052
        f"64:ff9b:1::{high:x}:{low:x}",  # NAT64 of one's own, RFC 8215
        f"2002:{high:x}:{low:x}::1",  # 6to4, RFC 3056
        f"2001:0:cb00:7101:8000:ef71:{flipped >> 16:x}:{flipped & 0xFFFF:x}",  # Teredo, RFC 4380
        f"2607:f8b0:4004:c07:0:5efe:{high:x}:{low:x}",  # ISATAP, RFC 5214
        f"2607:f8b0:4004:c07:200:5efe:{high:x}:{low:x}",
    ]


@given(st.ip_addresses(v=4), st.integers(0, 8))
def test_no_ipv6_address_that_carries_an_ipv4_one_is_public(inner: IPv4Address, which: int) -> None:
    assert not is_public(ip_address(carriers(int(inner))[which]))


@given(st.ip_addresses(v=6))
def test_what_is_public_in_ipv6_is_of_the_block_given_to_hosts(address: IPv6Address) -> None:
    assert not is_public(address) or address in ip_network("2000::/3")


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2607:f8b0:4004:c07::66"]
)
def test_hosts_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_an_allowed_network_opens_itself_alone() -> None:
    rule = AddressRule(allowed=(ip_network("10.1.0.0/16"),))
    assert rule.permits(ip_address("10.1.2.3"))
    assert not rule.permits(ip_address("10.2.2.3"))
    assert not rule.permits(ip_address("::ffff:10.1.2.3"))
    assert rule.permits(ip_address("1.1.1.1"))


def test_a_refused_network_wins() -> None:
    rule = AddressRule(
        allowed=(ip_network("10.0.0.0/8"),), refused=(ip_network("10.1.0.0/16"), ip_network("1.1.1.0/24"))
    )
    assert rule.permits(ip_address("10.2.0.1"))
    assert not rule.permits(ip_address("10.1.0.1"))
    assert not rule.permits(ip_address("1.1.1.1"))


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "::1%", "1.2.3.4.5"])
def test_odd_forms_are_no_addresses(text: str) -> None:
    assert parse_address(text) is None
