"""Whether anybody listens at an address that was typed: told at once, and not after the time that loading may take."""

from __future__ import annotations

import re
import socket
import time

from visavis_server.errors import CommandFailed

#: A Triton that is just opening its ports, or a container whose name is not known yet, is waited for so long.
_PATIENCE_S = 5.0
_POLL_S = 0.2
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}")


def check_address(address: str) -> None:
    """Raises CommandFailed where it is not ``host:port``."""
    if not _ADDRESS.fullmatch(address):
        raise CommandFailed(f"--triton {address}: an address is host:port, such as 127.0.0.1:8001")


def wait_for_listener(address: str, *, patience_s: float = _PATIENCE_S) -> None:
    """Return once somebody accepts connections at ``host:port``; whether he is ready is another question.

    Raises:
        CommandFailed: nobody does.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + patience_s
    while True:
        left_s = deadline - time.monotonic()
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=max(_POLL_S, left_s)):
                return
        except (OSError, OverflowError, UnicodeError) as error:
            if left_s <= _POLL_S:
                reason = getattr(error, "strerror", None) or error
                raise CommandFailed(
                    f"nobody listens at {address} ({reason}): --triton is the gRPC address of a Triton, which opens it "
                    "when its models are loaded; without --triton one is started here"
                ) from None
        time.sleep(_POLL_S)
