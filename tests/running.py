"""Starts the service as a user would, with ``visavis serve``, and waits until it is ready."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The one that a user of the source serves from.
REPOSITORY = ROOT / "model_repository"
START_TIMEOUT_S = 240.0

KEYS = """
[[key]]
id = "testAccessKeyId"
secret = "testAccessKeySecret"
qps = 10000
daily_quota = 1000000

[[key]]
id = "testTrialKeyId"
secret = "testTrialKeySecret"
tier = "trial"
qps = 10000

[[key]]
id = "testSlowKeyId"
secret = "testSlowKeySecret"
qps = 1

[[key]]
id = "testDisabledKeyId"
secret = "testDisabledKeySecret"
disabled = "Denied by Client"
"""


@dataclass(frozen=True)
class RunningService:
    """A started service and the keys it knows."""

    url: str
    #: Triton's gRPC, HTTP and metrics addresses, ``host:port``.
    grpc: str
    http: str
    metrics: str
    process: subprocess.Popen[bytes]
    log: Path
    data_dir: Path
    model_repository: Path
    key_id: str = "testAccessKeyId"
    secret: str = "testAccessKeySecret"
    trial_key_id: str = "testTrialKeyId"
    trial_secret: str = "testTrialKeySecret"
    slow_key_id: str = "testSlowKeyId"
    slow_secret: str = "testSlowKeySecret"
    disabled_key_id: str = "testDisabledKeyId"
    disabled_secret: str = "testDisabledKeySecret"

    def stop(self, timeout_s: float = 60) -> int:
        """Ask it to stop, wait, and give its exit status; a service that does not stop is killed and fails."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def start_service(
    home: Path,
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    *,
    model_repository: Path = REPOSITORY,
) -> RunningService:
    """Run ``visavis serve`` on free ports with keys and data in ``home``; raises with its log if it does not start."""
    credentials, ready, log = home / "credentials.toml", home / "ready.json", home / "service.log"
    credentials.write_text(KEYS)
    credentials.chmod(0o600)
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "visavis_server", "serve", "--port", "0", "--ready-file", str(ready)]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [*command, "--credentials", str(credentials), "--model-repository", str(model_repository), *arguments],
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, "VISAVIS_DATA_DIR": str(home / "data"), **(environment or {})},
        )
    give_up = time.monotonic() + START_TIMEOUT_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > give_up:
            process.kill()
            raise RuntimeError("the service did not start:\n" + log.read_text("utf-8", "replace")[-4000:])
        time.sleep(0.05)
    told = json.loads(ready.read_text())
    triton = told["triton"]
    addresses = (told["url"], triton["grpc"], triton["http"], triton["metrics"])
    return RunningService(*addresses, process, log, home / "data", model_repository)
