"""One process of the proxy: accepts from a listening socket that it shares with its like.

Run by the supervisor as ``python -m visavis_server.worker``; settings come from ``VISAVIS_*``. It prints one line
when it accepts, finishes requests in flight after SIGTERM, and ends when the supervisor does.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys

import uvicorn

from visavis_server.guard import die_with_parent
from visavis_server.http_protocol import BoundedHeadProtocol

APP = "visavis_proxy.app:app_from_environment"


class _Server(uvicorn.Server):
    """Says when it accepts."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            os.write(sys.stdout.fileno(), b"up\n")
            # Nobody reads the pipe any more.
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="visavis_server.worker", description=__doc__)
    parser.add_argument("--socket-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--grace-s", type=int, required=True, help="for requests in flight after SIGTERM")
    options = parser.parse_args()
    die_with_parent()
    if os.getppid() != options.parent:
        raise SystemExit("the supervisor is gone")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    config = uvicorn.Config(
        APP,
        factory=True,
        loop="uvloop",
        http=BoundedHeadProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=options.grace_s,
    )
    _Server(config).run([socket.socket(fileno=options.socket_fd)])


if __name__ == "__main__":
    main()
