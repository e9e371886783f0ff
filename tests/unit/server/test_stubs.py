"""A model's process that ended or stopped is noticed, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visavis_server.stubs import Watch, children_of, waits_for_a_device

#: Ends with its input, so with this test. Its argument is what Triton calls an instance.
WAITING = (sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "face_detector_0_0")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(WAITING, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def wait_for(child: subprocess.Popen[bytes], what: int) -> None:
    """Wait for its end or its stop, and leave it as it is."""
    os.waitid(os.P_PID, child.pid, what | os.WNOWAIT)


def write_process(system: Path, pid: int, parent: int, state: str) -> None:
    """What the system would show of it."""
    (system / str(pid)).mkdir(exist_ok=True)
    (system / str(pid) / "stat").write_text(f"{pid} (a (name) b) {state} {parent} " + "0 " * 48)


def refuse(error: type[OSError], pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every look at that process fail."""
    look = Path.read_text

    def read_text(path: Path, *args: str) -> str:
        if path.parent.name == str(pid):
            raise error
        return look(path, *args)

    monkeypatch.setattr(Path, "read_text", read_text)


def test_a_process_of_ours_is_found(child: subprocess.Popen[bytes]) -> None:
    assert child.pid in children_of(os.getpid())
    assert child.pid not in children_of(os.getppid())


def test_one_that_lives_has_no_fault(child: subprocess.Popen[bytes]) -> None:
    watch = Watch(os.getpid())
    assert [watch.fault() for _ in range(50)] == [None] * 50


def test_one_that_was_killed_is_noticed_before_anybody_collected_it(child: subprocess.Popen[bytes]) -> None:
    watch = Watch(os.getpid())
    child.kill()
    wait_for(child, os.WEXITED)
    assert watch.fault() == "the process of face_detector_0_0 was ended by SIGKILL"
    child.wait()
    assert watch.fault() == "the process of face_detector_0_0 is gone"


def test_one_that_ended_itself_says_with_which_status() -> None:
    with subprocess.Popen([sys.executable, "-c", "input(); raise SystemExit(70)"], stdin=subprocess.PIPE) as child:
        watch = Watch(os.getpid())
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait_for(child, os.WEXITED)
        assert watch.fault() == f"the process of one of its models, {child.pid}, ended with status 70"


def test_one_that_is_stopped_is_noticed_at_the_third_look_in_a_row(child: subprocess.Popen[bytes]) -> None:
    watch = Watch(os.getpid())
    child.send_signal(signal.SIGSTOP)
    wait_for(child, os.WSTOPPED)
    assert [watch.fault() for _ in range(2)] == [None] * 2
    child.send_signal(signal.SIGCONT)
    wait_for(child, os.WCONTINUED)
    assert watch.fault() is None
    child.send_signal(signal.SIGSTOP)
    wait_for(child, os.WSTOPPED)
    assert [watch.fault() for _ in range(3)] == [None, None, "the process of face_detector_0_0 is stopped"]
    child.send_signal(signal.SIGCONT)


def test_a_triton_that_is_stopped_or_gone_is_noticed_itself(child: subprocess.Popen[bytes]) -> None:
    watch = Watch(child.pid)
    child.send_signal(signal.SIGSTOP)
    wait_for(child, os.WSTOPPED)
    assert [watch.fault() for _ in range(3)] == [None, None, "it is stopped"]
    child.kill()
    child.wait()
    assert watch.fault() == "it is gone"


def test_one_that_hangs_in_the_system_is_noticed_after_twenty_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No signal ends such a process, so it is one of paper: at each of forty looks it waits for a device."""
    monkeypatch.setattr("visavis_server.stubs._PROCESSES", tmp_path)
    write_process(tmp_path, 10, 1, "S")
    write_process(tmp_path, 11, 10, "D")
    (tmp_path / "11" / "cmdline").write_text("stub\0face_embedder_1_0\0")
    watch = Watch(10)
    assert [watch.fault() for _ in range(39)] == [None] * 39
    assert watch.fault() == "the process of face_embedder_1_0 hangs in the system"


def test_a_process_that_nobody_else_may_look_at_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where /proc is mounted with hidepid=1."""
    monkeypatch.setattr("visavis_server.stubs._PROCESSES", tmp_path)
    for pid in (11, 12):
        write_process(tmp_path, pid, 10, "S")
    refuse(PermissionError, 12, monkeypatch)
    assert children_of(10) == {11}


def test_a_look_that_fails_is_no_fault_and_the_others_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where this process has too many files open."""
    monkeypatch.setattr("visavis_server.stubs._PROCESSES", tmp_path)
    for pid, parent in ((10, 1), (11, 10), (12, 10)):
        write_process(tmp_path, pid, parent, "S")
        (tmp_path / str(pid) / "cmdline").write_text(f"stub\0face_embedder_1_{pid}\0")
    watch = Watch(10)
    refuse(OSError, 10, monkeypatch)
    assert watch.fault() is None
    write_process(tmp_path, 12, 10, "Z")
    assert watch.fault() == "the process of face_embedder_1_12 ended with status 0"


@pytest.mark.parametrize(("state", "waits"), [("D", True), ("S", False), ("R", False), ("T", False), ("Z", False)])
def test_only_the_system_excuses_a_process_that_stands_still(
    state: str, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visavis_server.stubs._PROCESSES", tmp_path)
    write_process(tmp_path, 10, 1, state)
    assert waits_for_a_device(10) is waits
    assert not waits_for_a_device(11)
