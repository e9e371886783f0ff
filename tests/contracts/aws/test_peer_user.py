"""Which user is at the other end of a loopback connection."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from visavis_proxy.contracts.aws.peer_user import user_of


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_user_of_a_connection_is_found(family: socket.AddressFamily, host: str) -> None:
    """On a real socket, in the system's own table."""
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"{host} cannot be listened on: {error}")
    with listener, socket.create_connection(listener.getsockname()[:2]) as connection:
        client, server = connection.getsockname()[:2], connection.getpeername()[:2]
        assert user_of(client, server) == os.getuid()
        assert user_of((host, 1), server) is None


def test_another_user_is_told_apart(tmp_path: Path) -> None:
    """A row as the system writes it, of www-data's."""
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 10 1\n"
        "   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000    33        0 11 1\n"
    )
    assert user_of(("127.0.0.1", 50000), ("127.0.0.1", 8080), tables={4: table}) == 33


@pytest.mark.parametrize("client", [("127.0.0.1", 50000), ("testclient", 50000), ("::1", 1)])
def test_where_the_system_tells_nothing_nobody_is_named(tmp_path: Path, client: tuple[str, int]) -> None:
    """No table, or no address."""
    assert user_of(client, ("127.0.0.1", 8080), tables={4: tmp_path / "none", 6: tmp_path / "none"}) is None
