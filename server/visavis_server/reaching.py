"""Whether anybody listens at an address that was typed: told at once, and not after the time that loading may take."""

from __future__ import annotations

import socket
import time

from visavis_client.address import TritonAddress
from visavis_server.errors import CommandFailed

#: A Triton that is just opening its ports, or a container whose name is not known yet, is waited for so long.
_PATIENCE_S = 5.0
_POLL_S = 0.2


def check_address(text: str) -> TritonAddress:
    """Read it; raises CommandFailed where it is neither ``host:port`` nor ``http://host:port``."""
    try:
        return TritonAddress.parse(text)
    except ValueError as error:
        raise CommandFailed(f"--triton {text}: {error}") from None


def wait_for_listener(text: str, *, patience_s: float = _PATIENCE_S) -> None:
    """Return once somebody accepts connections at that address; whether he is ready is another question.

    Raises:
        CommandFailed: nobody does, or it is none.
    """
    address = check_address(text)
    protocol = "HTTP" if address.by_http else "gRPC"
    deadline = time.monotonic() + patience_s
    while True:
        left_s = deadline - time.monotonic()
        try:
            with socket.create_connection((address.host, address.port), timeout=max(_POLL_S, left_s)):
                return
        except (OSError, UnicodeError) as error:
            if left_s <= _POLL_S:
                reason = getattr(error, "strerror", None) or error
                raise CommandFailed(
                    f"nobody listens at {text} ({reason}): --triton is the {protocol} address of a Triton, which opens "
                    "it when its models are loaded; without --triton one is started here"
                ) from None
        time.sleep(_POLL_S)
