"""Numbers of several workers are told together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from visavis_proxy.metrics import Metrics

WORKER = """
from visavis_proxy.metrics import Metrics
metrics = Metrics()
metrics.request_answered("facepp", 200, "success", "none", 0.01)
print(metrics.render().decode())
"""
ONE = 'visavis_requests_total{contract="facepp",limit="none",outcome="success",status="200"} '


def test_one_worker_tells_its_own_numbers() -> None:
    """Without a folder to share a worker tells what it counted itself."""
    metrics = Metrics()
    metrics.request_answered("facepp", 200, "success", "none", 0.01)
    assert f"{ONE}1.0" in metrics.render().decode()
    assert f"{ONE}1.0" not in Metrics().render().decode()


def test_workers_that_share_a_folder_tell_their_sum(tmp_path: Path) -> None:
    """With PROMETHEUS_MULTIPROC_DIR whichever worker is asked tells what all of them counted."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-c", WORKER]
    told = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    assert f"{ONE}1.0" in told[0].stdout
    assert f"{ONE}2.0" in told[1].stdout
