"""A model's process that ended is noticed, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from visavis_server.stubs import all_live, children_of

#: Ends with its input, so with this test.
WAITING = (sys.executable, "-c", "import sys; sys.stdin.read()")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(WAITING, stdin=subprocess.PIPE) as process:
        yield process


def test_a_process_of_ours_is_found(child: subprocess.Popen[bytes]) -> None:
    assert child.pid in children_of(os.getpid())
    assert child.pid not in children_of(os.getppid())


def test_one_that_ended_is_noticed_before_anybody_collected_it(child: subprocess.Popen[bytes]) -> None:
    assert all_live([child.pid], os.getpid())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not all_live([child.pid], os.getpid())
    child.wait()
    assert not all_live([child.pid], os.getpid())


def test_another_process_with_the_same_number_is_not_taken_for_it(child: subprocess.Popen[bytes]) -> None:
    assert not all_live([child.pid], child.pid)


def test_without_processes_nothing_is_missing() -> None:
    assert all_live([], os.getpid())
