"""The guard over a shell script that behaves like Triton: it has a child that ignores SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from visavis_server import guard

#: Prints the child's process id; the child is a "stub" that only SIGKILL ends.
SERVER = "trap 'exit 7' TERM; (trap '' TERM; while :; do sleep 0.1; done) & echo $! ; wait"


class Guarded:
    def __init__(self, tmp_path: Path, script: str, stop_timeout_s: int = 30) -> None:
        self.log = tmp_path / "log"
        self.working = tmp_path / "working"
        self.working.mkdir()
        self.prefix = f"visavis_test_{os.getpid()}_{time.monotonic_ns()}_"
        self.region = guard.SHARED_MEMORY / f"{self.prefix}region"
        self.region.write_bytes(b"left behind")
        options = ["--log", self.log, "--shared-memory-prefix", self.prefix, "--working-directory", self.working]
        options += ["--stop-timeout-s", str(stop_timeout_s)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *options, "--", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.server = int(self.process.stdout.readline())
        self.stub = int(eventually(self.log.read_text))

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(60)
        self.region.unlink(missing_ok=True)


def eventually(read: object, timeout_s: float = 60) -> str:
    deadline = time.monotonic() + timeout_s
    while not (found := read()):  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    found = Guarded(tmp_path, SERVER)
    yield found
    found.close()


def assert_nothing_left(guarded: Guarded) -> None:
    guarded.process.wait(60)
    assert not alive(guarded.server)
    assert not alive(guarded.stub)
    assert not guarded.region.exists()
    assert not guarded.working.exists()


def test_the_end_of_the_launcher_ends_the_server_and_what_it_started(guarded: Guarded) -> None:
    assert alive(guarded.stub)
    assert guarded.process.stdin is not None
    guarded.process.stdin.close()
    assert_nothing_left(guarded)
    assert guarded.process.returncode == 7


def test_sigterm_ends_the_server_and_what_it_started(guarded: Guarded) -> None:
    guarded.process.terminate()
    assert_nothing_left(guarded)


def test_a_killed_server_leaves_no_stub_and_no_shared_memory(guarded: Guarded) -> None:
    os.kill(guarded.server, signal.SIGKILL)
    assert_nothing_left(guarded)
    assert guarded.process.returncode == 128 + signal.SIGKILL


def test_a_killed_guard_takes_the_server_with_it(guarded: Guarded) -> None:
    guarded.process.kill()
    guarded.process.wait(60)
    eventually(lambda: not alive(guarded.server))
    os.kill(guarded.stub, signal.SIGKILL)  # a real stub looks for its server by itself


def test_a_server_that_ignores_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, "trap '' TERM; echo $$; while :; do sleep 0.1; done", stop_timeout_s=1)
    began = time.monotonic()
    guarded.process.terminate()
    assert_nothing_left(guarded)
    assert 1 <= time.monotonic() - began < 20
    guarded.close()
