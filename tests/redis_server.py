"""A Redis of one's own: a free port of the loopback interface, a directory that goes with it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visavis_server.ports import free_loopback_ports

BINARY = shutil.which("redis-server")


class RedisServer:
    """A running server; `stop` ends it, `start` starts it again on the same port and directory."""

    def __init__(self, directory: Path, *, password: str = "") -> None:
        self._directory = directory
        self._password = password
        # Outside of the range of outgoing connections, which might take it while the server is stopped.
        (self.port,) = free_loopback_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return (
            f"redis://:{self._password}@127.0.0.1:{self.port}/0"
            if self._password
            else f"redis://127.0.0.1:{self.port}/0"
        )

    def start(self) -> None:
        assert BINARY is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory), "--save", ""]
        options += ["--appendonly", "no"] + (["--requirepass", self._password] if self._password else [])
        self._process = subprocess.Popen([BINARY, *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
                return
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)
