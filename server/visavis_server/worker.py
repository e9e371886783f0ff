"""One process of the proxy: accepts from a listening socket that it shares with its like.

Run by the supervisor as ``python -m visavis_server.worker``; settings come from ``VISAVIS_*``. It prints one line
when it accepts, then a sign of life every second, and ends when the supervisor does. SIGHUP: it reads its keys anew.
SIGTERM: for a while it says that it is not ready, then accepts nothing more and finishes requests in flight; a second
one cuts that while short.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from visavis_proxy.app import app_from_environment
from visavis_proxy.control import Control
from visavis_proxy.credentials import CredentialsInvalid
from visavis_proxy.metrics import Metrics
from visavis_proxy.settings import Settings, SettingsInvalid, read_settings
from visavis_server.guard import die_with_parent
from visavis_server.http_protocol import BoundedHeadProtocol
from visavis_server.line_writing import LineHandler
from visavis_server.logs import configure_logs

#: An idle one takes some kilobytes.
_CONNECTIONS = 65536
_log = logging.getLogger(__name__)
#: The supervisor replaces a worker whose signs of life stay away for ten seconds.
_SIGN_S = 1.0


class _Server(uvicorn.Server):
    """Runs the app, and tells it what the supervisor's signals say."""

    def __init__(self, settings: Settings, log: LineHandler, *, grace_s: int) -> None:
        """``grace_s``: for requests in flight."""
        self._lines = log
        self._metrics = Metrics()
        self._drain_s = settings.drain_s
        self._leaves_at: float | None = None
        self._control: Control | None = None
        super().__init__(
            uvicorn.Config(
                self._make_app,
                factory=True,
                loop="uvloop",
                http=BoundedHeadProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # Given in any case: else uvicorn would read a variable of its own.
                forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
                timeout_keep_alive=settings.keep_alive_s,
                timeout_graceful_shutdown=grace_s,
            )
        )

    def _make_app(self) -> FastAPI:
        app = app_from_environment(self._metrics)
        self._control = app.state.control
        return app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload_keys)
            # The supervisor's pipe; whatever is printed must not fill it.
            self._signs = os.dup(sys.stdout.fileno())
            os.set_blocking(self._signs, False)
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            os.write(self._signs, b"up\n")
            self._show_life()

    def _show_life(self) -> None:
        # Full: nobody reads at the moment. Broken: the supervisor is gone, and so is this process.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._signs, b".")
        self._metrics.log_lines_dropped(self._lines.dropped)
        asyncio.get_running_loop().call_later(_SIGN_S, self._show_life)

    def _reload_keys(self) -> None:
        if self._control is None:
            return
        try:
            self._control.credentials.reload()
        except CredentialsInvalid as error:
            _log.error("the keys stay as they were: %s", error)
        else:
            _log.info("read the keys anew: there are %d", len(self._control.credentials))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._control is None or not self.started or self._leaves_at is not None or self._drain_s == 0:
            super().handle_exit(sig, frame)
            return
        self._control.is_leaving = True
        self._leaves_at = time.monotonic() + self._drain_s

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            # A signal that was heard now ends this process at once, as if nobody had.
            self._lines.flush()

    async def on_tick(self, counter: int) -> bool:
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            self.should_exit = True
        return await super().on_tick(counter)


def _allow_connections() -> None:
    """As many as the system grants; the usual 1024 are taken by one client that opens and says nothing."""
    granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS if most == resource.RLIM_INFINITY else min(_CONNECTIONS, most)
    if granted != resource.RLIM_INFINITY and granted < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


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
    try:
        settings = read_settings()
    except SettingsInvalid as error:
        raise SystemExit(str(error)) from None
    log = configure_logs(settings.log_format, logging.INFO)
    _allow_connections()
    _Server(settings, log, grace_s=options.grace_s).run([socket.socket(fileno=options.socket_fd)])


if __name__ == "__main__":
    main()
