"""The process between launcher and Triton: nothing that Triton started outlives either of them.

Run as a program, by its file. Triton's Python models live in processes of their own (stubs) that ignore
SIGTERM and outlive a killed Triton whose parent does not collect it. So the guard

* takes over every orphan below it, and collects it (``PR_SET_CHILD_SUBREAPER``);
* reads from a pipe that only the launcher can write to: its end means that the launcher is gone, however it died;
* when the launcher or Triton is gone, kills what is left of Triton's process group and removes its shared memory and
  its working directory.

It prints Triton's process id as its first line and exits with Triton's status. Standard library alone: it stays small.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TRITON_NICENESS = 5
_PR_SET_CHILD_SUBREAPER = 36

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where POSIX shared memory lives)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def die_with_parent() -> None:
    """Ask the kernel to kill the calling process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def remove_shared_memory(prefix: str) -> None:
    """Remove the shared-memory regions that a killed Triton left behind."""
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):
            region.unlink()


class _Guarded:
    """Triton as the leader of a session of its own."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 (the guard has one thread)
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def status(self) -> int | None:
        """Triton's exit status once it has ended."""
        return self._process.poll()

    def terminate(self) -> None:
        if self.status() is None:
            self._process.terminate()

    def kill_all(self) -> None:
        """Kill Triton and its stubs, and wait until none of them is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        # Orphaned stubs are now children of the guard.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


def _watch(triton: _Guarded, wake_fd: int, stop_timeout_s: float) -> None:
    """Return when Triton has ended, or had its time to end after SIGTERM or the launcher's end."""
    waiting = [sys.stdin.fileno(), wake_fd]
    deadline: float | None = None
    while triton.status() is None and (deadline is None or time.monotonic() < deadline):
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(waiting, [], [], left)
        stop = False
        if wake_fd in ready:
            stop = signal.SIGTERM in os.read(wake_fd, 64)
        elif ready and not os.read(sys.stdin.fileno(), 64):
            waiting.remove(sys.stdin.fileno())
            stop = True
        if stop and deadline is None:
            deadline = time.monotonic() + stop_timeout_s
            triton.terminate()


def _wake_on_signals() -> int:
    """A file descriptor that gives the numbers of the signals received: a child ended, or stop."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return wake_read


def main(arguments: Sequence[str] | None = None) -> int:
    """Guard one Triton until it ends."""
    parser = argparse.ArgumentParser(prog="visavis_server.guard", description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--shared-memory-prefix", required=True)
    parser.add_argument("--working-directory", type=Path, required=True, help="removed at the end")
    parser.add_argument("--stop-timeout-s", type=float, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)

    # Where cores are short, the proxy must still answer at once, if only that it is busy.
    os.nice(_TRITON_NICENESS)
    wake_fd = _wake_on_signals()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    triton = _Guarded(options.command, options.log)
    try:
        os.write(sys.stdout.fileno(), f"{triton.pid}\n".encode())
        _watch(triton, wake_fd, options.stop_timeout_s)
    finally:
        triton.kill_all()
        remove_shared_memory(options.shared_memory_prefix)
        shutil.rmtree(options.working_directory, ignore_errors=True)
    status = triton.status() or 0
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    raise SystemExit(main())
