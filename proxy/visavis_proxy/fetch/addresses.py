"""Which addresses may be connected to: those of the public internet, and inside networks an operator names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

#: The only IPv6 block of which addresses are given to hosts on the internet. All of ::/96 (compatible), ::ffff/96
#: (mapped), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), fc00::/7, fe80::/10 and ff00::/8 lie outside it.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

#: Not public although some of their addresses look so. `ipaddress` knows most; which ones differs between
#: releases of Python, so that all are written down here.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, on an address that looks public
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo carries an IPv4 address, ORCHID is no address at all
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",  # documentation
    )
)


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Decides on one address; a network an operator refuses wins over one that is allowed."""

    allowed: tuple[Network, ...] = ()
    refused: tuple[Network, ...] = ()

    def permits(self, address: Address) -> bool:
        """Whether a connection to that address may be made."""
        return not _lies_in(address, self.refused) and (self.allows(address) or is_public(address))

    def allows(self, address: Address) -> bool:
        """Whether an operator named it, so that it may be of the inside."""
        return _lies_in(address, self.allowed)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet and stands for itself alone.

    An IPv6 address that carries an IPv4 one (mapped, compatible, 6to4, NAT64, Teredo, ISATAP) never is: what it
    carries may be of the inside. A NAT64 prefix that a network chose for itself cannot be told from others: its
    operator refuses it by a setting.
    """
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or _is_isatap(address)):
        return False
    return address.is_global and not address.is_multicast and not _lies_in(address, _NOT_PUBLIC)


def parse_address(text: str) -> Address | None:
    """An address in one of its ordinary forms, or None."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _lies_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _is_isatap(address: IPv6Address) -> bool:
    # The interface's half begins 0000:5efe or, with the "universal" bit set, 0200:5efe.
    return int(address) >> 32 & 0xFDFFFFFF == 0x00005EFE
