"""One run of Triton as the launcher sees it, without Triton: how long it waits, and whom it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from visavis_server import triton
from visavis_server.device import Device
from visavis_server.execution_limit import execution_limit
from visavis_server.triton import EmbeddedTriton, TritonPorts


def test_a_guard_that_hangs_before_its_first_word_is_ended_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process of Triton's is known then, and the group without a number is the launcher's own."""
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _: killed.append(group))
    monkeypatch.setattr(triton, "_GUARD_TIMEOUT_S", 0.1)
    run = EmbeddedTriton(
        tmp_path, log=tmp_path / "log", device=Device.CPU, ports=TritonPorts(1, 2, 3), stop_timeout_s=0.1
    )
    guard = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    run._guard = guard
    run.stop()
    assert guard.returncode is not None
    assert killed == []


@pytest.mark.parametrize(
    ("device", "accelerator", "seconds"),
    [(Device.GPU, "tensorrt", 900), (Device.GPU, "cuda", 120), (Device.CPU, "tensorrt", 120)],
)
def test_who_builds_an_engine_is_waited_for(tmp_path: Path, device: Device, accelerator: str, seconds: int) -> None:
    """TensorRT takes minutes, at the first start; a CPU's configurations are others."""
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "config.pbtxt").write_text(f'gpu_execution_accelerator: [ {{ name: "{accelerator}" }} ]')
    assert triton._ready_timeout_s(tmp_path, device) == seconds


@pytest.mark.parametrize(("given", "told"), [("", ""), ("2", "2.0"), ("0.5", "0.5"), ("86400", "86400.0")])
def test_tritons_processes_are_told_the_limit_that_was_set(given: str, told: str) -> None:
    name = "VISAVIS_MODEL_EXECUTION_LIMIT_S"
    expected = {name: told} if told else {}
    assert execution_limit({name: given} if given else {}) == expected
