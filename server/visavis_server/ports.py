"""Free ports on loopback that stay free while a server on them restarts."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from visavis_server.errors import PortTaken

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _HIGHEST = 10_000, 65_535


def candidates(ephemeral: tuple[int, int]) -> list[int]:
    """Unprivileged ports outside the range that the kernel gives to outgoing connections.

    A client that connects again and again to a port within that range, while nobody listens there, sooner or later
    is given the very port as its own, connects to itself, and so keeps the server from coming back.
    """
    low, high = ephemeral
    return [port for port in range(_LOWEST, _HIGHEST + 1) if not low <= port <= high]


def _ephemeral_range() -> tuple[int, int]:
    try:
        low, high = map(int, _EPHEMERAL_RANGE.read_text().split())
    except (OSError, ValueError):
        return 32_768, 60_999  # the kernel's default
    return low, high


def check_loopback_port(port: int) -> None:
    """See that nobody listens on that TCP port of 127.0.0.1.

    Raises:
        PortTaken: somebody does, or this user must not.
    """
    with socket.socket() as probe:
        # As Triton does: connections of a former run that are not forgotten yet do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(f"cannot listen on 127.0.0.1:{port} for Triton's metrics: {error.strerror}") from error


def free_loopback_ports(count: int) -> tuple[int, ...]:
    """So many distinct TCP ports of 127.0.0.1 that nobody listens on, chosen by chance.

    Raises:
        OSError: there are none.
    """
    found: list[int] = []
    # Every port where the whole range is given to outgoing connections: still better than none.
    wanted = candidates(_ephemeral_range()) or candidates((0, 0))
    for port in random.SystemRandom().sample(wanted, len(wanted)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return tuple(found)
    raise OSError("no free port on 127.0.0.1")
