"""Whether a request plainly comes from this machine, and nobody handed it on.

A loopback address keeps strangers out only while nothing in front of it lets them in: a TLS terminator of the same
machine, or a web page in a browser of this machine, whose name may resolve to loopback (DNS rebinding) and whose script
may call loopback by its own name. Their requests' heads tell, but for a relay that replaces Host and adds nothing, as
nginx with a bare ``proxy_pass`` may do: that one is told by its user, which is not the service's.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request

from visavis_proxy.connection import of_connection
from visavis_proxy.contracts.aws.peer_user import user_of

#: A relay adds one of these, or one that begins with the prefix below.
_RELAYED: Final = frozenset({"forwarded", "via", "x-real-ip"})
_RELAYED_PREFIX: Final = "x-forwarded-"
#: In a connection's table.
_USER: Final = "user"
#: An IPv6 address or another name, then perhaps a port.
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+))(?::\d*)?")


def is_from_this_machine(request: Request) -> bool:
    """False wherever there is a doubt."""
    # What nginx before 1.29.7 speaks to the servers behind it, and no client of today.
    if request.scope.get("http_version") == "1.0":
        return False
    if any(name in _RELAYED or name.startswith(_RELAYED_PREFIX) for name in request.headers):
        return False
    hosts = request.headers.getlist("host")
    pages = [origin.rpartition("://")[2] for origin in request.headers.getlist("origin")]
    return bool(hosts) and all(map(_is_loopback, [*hosts, *pages])) and not _is_anothers(request)


def _is_anothers(request: Request) -> bool:
    """Whether another user than the service's, or root, holds the connection; where nobody tells, the head must do."""
    client, server = request.scope.get("client"), request.scope.get("server")
    if not client or not server or not server[1]:
        return False
    known = of_connection(request.scope)
    if _USER not in known:
        # The system walks through its whole table for it, which takes milliseconds.
        known[_USER] = user_of((client[0], client[1]), (server[0], server[1]))
    return known[_USER] is not None and known[_USER] not in {0, os.getuid()}


def _is_loopback(authority: str) -> bool:
    """Whether it names this machine: localhost, 127.0.0.0/8 or ::1, with any port or none."""
    found = _AUTHORITY.fullmatch(authority)
    name = (found[1] or found[2]).lower() if found else ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
