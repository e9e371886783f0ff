"""A worker is up when it says so, and is replaced where it alone stands still."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visavis_server import processes
from visavis_server.errors import CommandFailed
from visavis_server.processes import WorkerProcess


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def saying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program that stands in for a worker's Python: what is written there is what it does."""
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def do(program: Path, commands: str) -> None:
    program.write_text(f"#!/bin/sh\n{commands}\n")


async def run(worker: WorkerProcess, timeout_s: float = 60) -> str:
    try:
        await worker.start()
        return await asyncio.wait_for(worker.ended(), timeout_s)
    finally:
        await worker.stop()


def test_a_worker_is_up_when_it_says_so(listener: socket.socket, saying: Path) -> None:
    """Whatever a library printed before."""
    do(saying, "echo noise; echo up; exit 3")
    assert asyncio.run(run(WorkerProcess(listener, os.environ, drain_s=0))) == "it ended with status 3"


def test_a_worker_that_says_something_else_and_ends_was_not_up(listener: socket.socket, saying: Path) -> None:
    do(saying, "echo noise")
    with pytest.raises(CommandFailed, match=r"^a worker of the proxy could not start"):
        asyncio.run(run(WorkerProcess(listener, os.environ, drain_s=0)))


def test_a_worker_that_stands_still_is_replaced_unless_it_waits_for_a_disk(
    listener: socket.socket, saying: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks at one that waits for a disk do not count, however many they are."""
    looks = 0

    def waits(_: int) -> bool:
        nonlocal looks
        looks += 1
        return looks <= 10

    do(saying, "echo up; exec sleep 60")
    monkeypatch.setattr(processes, "_SIGN_S", 0.02)
    monkeypatch.setattr(processes, "waits_for_a_device", waits)
    assert asyncio.run(run(WorkerProcess(listener, os.environ, drain_s=0))).startswith("it gave no sign of life")
    assert looks == 15
