"""Which user of this machine holds the other end of a loopback connection, as the system's own table tells."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Final

_TABLES: Final = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}
#: Columns of a row, split at blanks: own address, the other's, … the user.
_OWN, _OTHER, _USER = 1, 2, 7
Address = tuple[str, int]


def user_of(client: Address, server: Address, *, tables: dict[int, Path] = _TABLES) -> int | None:
    """The user id at ``client``'s end of a connection to ``server``; None where the system does not tell."""
    try:
        wanted = (_as_listed(client), _as_listed(server))
        table = tables[ip_address(client[0]).version].read_text("ascii")
    except (OSError, ValueError):
        return None
    for line in table.splitlines()[1:]:
        row = line.split()
        if len(row) > _USER and (row[_OWN], row[_OTHER]) == wanted:
            return int(row[_USER])
    return None


def _as_listed(address: Address) -> str:
    """Groups of four bytes in the machine's own order, as hexadecimal digits, and the port."""
    host, port = address
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    groups = [packed[start : start + 4] for start in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(group, sys.byteorder):08X}" for group in groups) + f":{port:04X}"
