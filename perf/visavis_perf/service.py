"""What is measured, as processes of this machine: the service, and the peer."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from visavis_perf.places import CACHE, PERF, REPOSITORY, ROOT
from visavis_perf.signing import Caller

_READY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 30.0


class ServiceFailed(Exception):
    """It did not come up; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    #: ``host:port``; None for the peer, which has no Triton.
    triton_grpc: str | None
    triton_http: str | None
    pid: int
    #: From the start of its process until it said that it was ready.
    start_to_ready_s: float
    caller: Caller


@contextmanager
def serving(
    environment: Mapping[str, str] | None = None,
    *,
    arguments: Sequence[str] = (),
    repository: Path = REPOSITORY,
    name: str = "service",
) -> Iterator[Service]:
    """The service as an operator would start it, with a key whose rate never binds; stopped afterwards.

    ``environment`` is added to the process's own, ``arguments`` to the command; ``name`` is that of its log. SigV4 is
    switched on, for AWS's requests are signed here.

    Raises:
        ServiceFailed: it ended, or was not ready in time.
    """
    program = Path(sys.executable).with_name("visavis")
    if not program.exists():
        raise ServiceFailed(f"{program} is missing: install the project into this environment first")
    with tempfile.TemporaryDirectory(prefix="visavis-bench-") as folder:
        caller = Caller("bench", secrets.token_hex(20))
        keys, ready = Path(folder) / "credentials.toml", Path(folder) / "ready.json"
        keys.touch(mode=0o600)
        keys.write_text(
            f'[[key]]\nid = "{caller.key}"\nsecret = "{caller.secret}"\nqps = 1e6\ndaily_quota = 1000000000\n'
        )
        command = [
            *(str(program), "serve", "--port", "0", "--model-repository", str(repository)),
            *("--credentials", str(keys), "--data-dir", str(Path(folder) / "data"), "--ready-file", str(ready)),
            *arguments,
        ]
        added = {"VISAVIS_AWS__AUTHORIZATION": "AWS_IAM", **(environment or {})}
        started = time.monotonic()
        with _process(command, name, added) as process:
            _wait(process, name, ready.is_file)
            taken = time.monotonic() - started
            told = json.loads(ready.read_text("utf-8"))
            triton = told["triton"]
            yield Service(told["url"], triton["grpc"], triton["http"], process.pid, taken, caller)


@contextmanager
def afternoon(detector: Path, recognizer: Path, *, enlarge: bool = True) -> Iterator[Service]:
    """The peer with OpenCV's own graphs.

    ``enlarge``: it brings small pictures up to the frame that the service's detector sees, so that both do the
    same work; otherwise it detects small pictures at their own size, cheaper and blinder.

    Raises:
        ServiceFailed: it ended, or was not ready in time.
    """
    added = {
        "AFTERNOON_DETECTOR": str(detector),
        "AFTERNOON_RECOGNIZER": str(recognizer),
        "AFTERNOON_ENLARGE": str(int(enlarge)),
    }
    with _baseline("afternoon", added) as service:
        yield service


@contextmanager
def rival() -> Iterator[Service]:
    """The rival from PyPI, which must be installed.

    Raises:
        ServiceFailed: it ended, or was not ready in time.
    """
    with _baseline("rival", {}) as service:
        yield service


@contextmanager
def _baseline(name: str, added: Mapping[str, str]) -> Iterator[Service]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # uvicorn's own choice of loop and parser, uvloop and httptools, is what an afternoon gives for nothing.
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(PERF / "baselines"), f"{name}:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    with _process(command, name, added) as process:
        _wait(process, name, lambda: _answers(f"{url}/health"))
        yield Service(url, None, None, process.pid, time.monotonic() - started, Caller("", ""))


@contextmanager
def _process(command: list[str], name: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    log = _log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=sink, stderr=sink)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _log(name: str) -> Path:
    return CACHE / "logs" / f"{name}.log"


def _wait(process: subprocess.Popen[bytes], name: str, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            fate = "took too long" if process.poll() is None else f"ended with status {process.returncode}"
            words = _log(name).read_text("utf-8", "replace").strip()[-600:]
            raise ServiceFailed(f"the {name} {fate} before it was ready: {words}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (http, loopback)
            return bool(answer.status == 200)
    except OSError:
        return False
