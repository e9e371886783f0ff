"""Restarting: how often, after how long, and what ends it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import sys
from pathlib import Path

import pytest

from visavis_server.backoff import Backoff
from visavis_server.errors import CommandFailed
from visavis_server.keeper import Keeper
from visavis_server.processes import WorkerProcess


class FakeProcess:
    """Starts or fails to; ends at once or stays up."""

    def __init__(self, *, starts: bool = True, stays: bool = False) -> None:
        self._starts = starts
        self._stays = stays
        self.stopped = False

    async def start(self) -> None:
        if not self._starts:
            raise CommandFailed("it would not start")

    async def ended(self) -> str:
        if self._stays:
            await asyncio.Event().wait()
        return "it ended"

    async def stop(self) -> None:
        self.stopped = True


async def until_last_is_up(processes: list[FakeProcess], delays: list[float], again: list[None]) -> Keeper:
    left = iter(processes)
    ups = itertools.count(1)
    wanted = sum(process._starts for process in processes)
    all_up = asyncio.Event()

    async def sleep(delay_s: float) -> None:
        delays.append(delay_s)

    keeper = Keeper(
        "the process",
        lambda: next(left),
        backoff=Backoff(first_s=1, limit_s=3, settled_s=60),
        on_again=lambda: again.append(None),
        on_up=lambda: all_up.set() if next(ups) == wanted else None,
        sleep=sleep,
        clock=lambda: 0.0,
    )
    task = asyncio.create_task(keeper.run())
    await asyncio.wait_for(asyncio.wait({task, asyncio.create_task(all_up.wait())}, return_when="FIRST_COMPLETED"), 5)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return keeper


def test_a_process_that_ends_is_started_again_after_a_growing_delay(caplog: pytest.LogCaptureFixture) -> None:
    processes = [FakeProcess(), FakeProcess(starts=False), FakeProcess(), FakeProcess(stays=True)]
    delays: list[float] = []
    again: list[None] = []
    with caplog.at_level(logging.ERROR):
        asyncio.run(until_last_is_up(processes, delays, again))
    assert delays == [1, 2, 3]
    assert len(again) == 3
    assert all(process.stopped for process in processes)
    assert "the process: it would not start; starting it again in 2.0 s" in caplog.text


def test_a_process_that_never_started_is_not_tried_again() -> None:
    process = FakeProcess(starts=False)
    with pytest.raises(CommandFailed, match="would not start"):
        asyncio.run(Keeper("it", lambda: process, backoff=Backoff()).run())
    assert process.stopped


def test_a_worker_that_the_system_cannot_start_for_a_while_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its program is gone in between, which the system tells as it tells that there is no memory, process or file."""
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\necho up\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    ups = 0

    def up() -> None:
        nonlocal ups
        ups += 1
        if ups == 1:
            program.rename(tmp_path / "elsewhere")

    async def sleep(delay_s: float) -> None:
        if ups == 2:
            raise asyncio.CancelledError
        if delay_s == 2:
            (tmp_path / "elsewhere").rename(program)

    with socket.create_server(("127.0.0.1", 0)) as listener, caplog.at_level(logging.ERROR):
        keeper = Keeper(
            "the worker",
            lambda: WorkerProcess(listener, os.environ, drain_s=0),
            backoff=Backoff(first_s=1, limit_s=3, settled_s=60),
            on_up=up,
            sleep=sleep,
        )
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(asyncio.wait_for(keeper.run(), 60))
    assert ups == 2
    assert "the worker: a worker of the proxy could not be started: [Errno 2] No such file" in caplog.text


def test_a_cancelled_keeper_has_stopped_its_process() -> None:
    process = FakeProcess(stays=True)
    asyncio.run(until_last_is_up([process], [], []))
    assert process.stopped


def test_a_long_run_is_forgiven() -> None:
    backoff = Backoff(first_s=1, limit_s=30, settled_s=60)
    assert [backoff.after(lasted) for lasted in (0, 0, 59, 60, 0)] == [1, 2, 4, 1, 2]


class SlowToStop(FakeProcess):
    """Takes its time to end."""

    async def stop(self) -> None:
        await asyncio.sleep(0.05)
        self.stopped = True


def test_a_keeper_that_is_cancelled_again_still_waits_for_the_end() -> None:
    """Whoever gave up waiting would leave a process half stopped."""
    process = SlowToStop(stays=True)

    async def cancel_twice() -> None:
        keeper = Keeper("it", lambda: process, backoff=Backoff(first_s=1, limit_s=3, settled_s=60))
        task = asyncio.create_task(keeper.run())
        await keeper.was_up.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_twice())
    assert process.stopped
