"""Time of cores goes to the part of the service that spent it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from visavis_perf.processes import GENERATOR, PROXY, core_ms_per_picture, cpu_times, part_of


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (["/opt/bin/tritonserver", "--model-repository", "/tmp/x/models"], "triton"),
        (["/t/triton_python_backend_stub", "/t/models/face_aligner/1/model.py", "prefix", "1"], "face_aligner"),
        (["/t/triton_python_backend_stub", "/t/models/face_embedder/1/model.onnx", "prefix"], "face_embedder"),
        (["/venv/bin/python", "-m", "visavis_server.worker"], "proxy"),
        ([], "proxy"),
    ],
)
def test_processes_are_told_by_their_command_lines(line: list[str], part: str) -> None:
    """A stub by the model's file that it was given."""
    assert part_of(line) == part


def test_a_descendants_time_is_counted() -> None:
    """A process that works for a while has cost about that while; the one that waits for it nearly nothing."""
    worker = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while (spent := cpu_times(process.pid)[PROXY]) < 0.3 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.communicate(b"\n")
    assert 0.3 <= spent < 3


def test_time_is_shared_among_the_pictures() -> None:
    """Two seconds of a core for a hundred pictures are 20 ms; without any picture there is nothing to tell."""
    before, after = {"proxy": 1.0}, {"proxy": 3.0, "triton": 0.5}
    assert core_ms_per_picture(before, after, 100) == {"proxy": 20.0, "triton": 5.0}
    assert core_ms_per_picture(before, after, 0) == {}


def test_the_generators_own_time_is_told_apart() -> None:
    """It shares the cores with what it measures."""
    before = cpu_times(os.getpid())[GENERATOR]
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    # The system tells hundredths, of its own work and of ours apart.
    assert cpu_times(os.getpid())[GENERATOR] - before > 0.07
