"""Containers are started anew where a process of Triton's models is gone, which Triton's own health does not tell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from kubernetes_files import container, rendered
from running import ROOT

_COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["triton"]["healthcheck"]["test"][-1]
_KUBERNETES = container(rendered("gpu"), "triton")["livenessProbe"]["exec"]["command"][-1]
#: As the system cuts it.
STUB = "triton_python_backend_stub"[:15]
LIVING = f"7 ({STUB}) S 1 "


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """A list of processes, and a ``curl`` that finds whoever it asks well."""
    for line in ("1 (tritonserver) S 0 ", LIVING, "9 (curl) Z 1 "):
        (tmp_path / line.split()[0]).mkdir()
        (tmp_path / line.split()[0] / "stat").write_text(line + "0 " * 48 + "\n")
    (tmp_path / "curl").write_text("#!/bin/sh\n")
    (tmp_path / "curl").chmod(0o755)
    return tmp_path


def run(command: str, processes: Path) -> tuple[bool, str]:
    """Whether the probe is content, and what it killed."""
    script = f"kill() {{ echo killed $1; }}; PATH={processes}:$PATH; " + command.replace("/proc", str(processes))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0, done.stdout.strip()


def test_models_that_live_are_well(processes: Path) -> None:
    """Another program's zombie is nothing."""
    assert run(_KUBERNETES, processes) == (True, "")
    assert run(_COMPOSE, processes) == (True, "")


@pytest.mark.parametrize("state", ["Z", "T"])
def test_a_model_that_ended_or_is_stopped_is_noticed(processes: Path, state: str) -> None:
    """Kubernetes restarts what fails its probe; Docker restarts what ended alone."""
    (processes / "7" / "stat").write_text(LIVING.replace(" S ", f" {state} "))
    assert run(_KUBERNETES, processes) == (False, "")
    assert run(_COMPOSE, processes)[1] == "killed 1"
