"""The embedded Triton: one server on loopback, watched through its HTTP health, ended with all that it started."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from visavis_server import guard, tuning
from visavis_server.cores import usable_cores
from visavis_server.device import Device, choose_device
from visavis_server.errors import TritonFailed, TritonMissing
from visavis_server.installation import TritonInstallation
from visavis_server.ports import free_loopback_ports

#: Less than this and the models' regions do not fit, with room to grow for large pictures.
_SHARED_MEMORY_NEEDED = 256 << 20
_HEALTH_TIMEOUT_S = 2.0
_READY_POLL_S = 0.1
_READY_TIMEOUT_S = 120.0
#: Where TensorRT has to build an engine first.
_BUILT_TIMEOUT_S = 900.0
#: For what the guard does when Triton is gone.
_GUARD_TIMEOUT_S = 5.0
_LOG_TAIL_LINES = 8


def check_shared_memory(free_bytes: int) -> None:
    """Refuse a machine whose shared memory is as small as a container's is by default.

    Raises:
        TritonMissing: with what to do about it.
    """
    if free_bytes < _SHARED_MEMORY_NEEDED:
        raise TritonMissing(
            f"{guard.SHARED_MEMORY} has {free_bytes >> 20} MiB left, Triton needs {_SHARED_MEMORY_NEEDED >> 20}: "
            "give a container --shm-size=1g"
        )


def _ready_timeout_s(repository: Path, device: Device) -> float:
    """How long all models together may take to be loaded and warm."""
    # A CPU's configurations are others.
    configurations = () if device is Device.CPU else repository.glob("*/config.pbtxt")
    builds = any('"tensorrt"' in each.read_text("utf-8", "replace") for each in configurations)
    return _BUILT_TIMEOUT_S if builds else _READY_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class TritonPorts:
    """On 127.0.0.1."""

    grpc: int
    http: int
    metrics: int

    @classmethod
    def free(cls, *, metrics: int | None = None) -> TritonPorts:
        """Three that nobody listens on; that one for the metrics, if it is named."""
        grpc, http, free = free_loopback_ports(3)
        # Either of the two may be the named one, and then the third is not.
        grpc, http = (free if port == metrics else port for port in (grpc, http))
        return cls(grpc, http, metrics or free)


class EmbeddedTriton:
    """One run of Triton over a model repository; as a context manager it is ready inside and gone after.

    A second run may be given the ports of a first, so that its clients find it again.
    """

    def __init__(
        self,
        repository: Path,
        *,
        log: Path,
        device: Device = Device.AUTO,
        ports: TritonPorts | None = None,
        stop_timeout_s: float = 10.0,
        openvino: Collection[str] = (),
    ) -> None:
        """``log`` is appended to. ``openvino`` names the models that OpenVINO is to run, on a CPU."""
        self._repository = repository.resolve()
        self._log = log
        self._device = choose_device(device)
        self._openvino = openvino
        self.ports = ports or TritonPorts.free()
        self._ready_timeout_s = _READY_TIMEOUT_S
        self._stop_timeout_s = stop_timeout_s
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._name = ""
        self._working: Path | None = None
        #: Triton's own process id, 0 before it was started.
        self.pid = 0

    @property
    def grpc_address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def http_address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.ports.http}"

    @property
    def metrics_address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.ports.metrics}"

    def start(self) -> None:
        """Start the server without waiting for it.

        Raises:
            TritonMissing: it is not installed.
            TritonFailed: its process could not be started.
        """
        installation = TritonInstallation.find()
        check_shared_memory(shutil.disk_usage(guard.SHARED_MEMORY).free)
        self._name = f"visavis_{secrets.token_hex(6)}_"
        try:
            self._ready_timeout_s = _ready_timeout_s(self._repository, self._device)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log_start = self._log.stat().st_size if self._log.exists() else 0
            self._working = Path(tempfile.mkdtemp(prefix=self._name))
            backends = installation.assemble(self._working)
            # Triton hands paths to a shell unquoted: links give any path a name without blanks.
            models = self._working / "models"
            if self._device is Device.CPU:
                # Not before: it brings grpc and numpy along, which most commands do without.
                from visavis_server.placing import lay_out

                lay_out(self._repository, models, cores=usable_cores(), openvino=self._openvino)
            else:
                models.symlink_to(self._repository)
            command = [*self._guard_command(self._working), str(installation.server), *self._flags(models, backends)]
            with self._log.open("ab") as sink:
                self._guard = subprocess.Popen(
                    command,
                    env=installation.environment(),
                    # Pythons in stubs look for modules in the current folder, too.
                    cwd=self._working,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=sink,
                    start_new_session=True,
                )
        except OSError as error:
            raise TritonFailed(f"Triton could not be started: {error}") from error
        assert self._guard.stdout is not None  # noqa: S101 (it was asked for)
        self.pid = int(self._guard.stdout.readline() or 0)
        if not self.pid:
            raise TritonFailed(f"Triton could not be started; {self._last_words()}")

    def _guard_command(self, working: Path) -> list[str]:
        return [
            # Isolated: its environment is made for Triton's stubs.
            *(sys.executable, "-I", "-S", guard.__file__, "--log", str(self._log.resolve())),
            *("--shared-memory-prefix", self._name, "--working-directory", str(working)),
            *("--stop-timeout-s", str(self._stop_timeout_s), "--"),
        ]

    def _flags(self, models: Path, backends: Path) -> list[str]:
        flags = {
            "model-repository": models,
            "backend-directory": backends,
            "grpc-address": "127.0.0.1",
            "grpc-port": self.ports.grpc,
            "http-address": "127.0.0.1",
            "http-port": self.ports.http,
            # The workers ask by HTTP; a thread copies a picture in and an answer out, which is little.
            "http-thread-count": min(8, max(2, usable_cores() // 2)),
            "metrics-address": "127.0.0.1",
            "metrics-port": self.ports.metrics,
            "model-load-thread-count": usable_cores(),
            "exit-timeout-secs": max(1, int(self._stop_timeout_s) - 1),
            "backend-config=python,shm-region-prefix-name": self._name,
            # Traces nothing until it is asked to, by HTTP; the file alone can be named only here.
            "trace-config": f"triton,file={models.parent / 'trace'}",
            **tuning.FLAGS,
        }
        if self._device is Device.CPU:
            # The last makes Triton heed the priorities of instances.
            flags |= {**tuning.CPU_FLAGS, "rate-limit": "execution_count"}
        switches = (f"--{name}" for name in tuning.SWITCHES)
        return [*switches, *(f"--{name}={value}" for name, value in flags.items())]

    def ended(self) -> bool:
        """Whether the server is gone, with everything it had started."""
        return self._guard is None or self._guard.poll() is not None

    def healthy(self, question: str = "ready") -> bool:
        """Whether it says that it is ``ready`` (all models loaded and warm) or ``live``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=_HEALTH_TIMEOUT_S)
        try:
            connection.request("GET", f"/v2/health/{question}")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self) -> None:
        """Wait until all models are loaded and warm.

        Raises:
            TritonFailed: it ended, or took too long; the text has the end of its log.
        """
        deadline = time.monotonic() + self._ready_timeout_s
        while not self.healthy():
            if self.ended():
                raise TritonFailed(f"Triton ended while it was starting; {self._last_words()}")
            if time.monotonic() > deadline:
                raise TritonFailed(f"Triton was not ready within {self._ready_timeout_s:.0f} s; {self._last_words()}")
            time.sleep(_READY_POLL_S)

    def kill(self) -> None:
        """End the server at once, requests in flight included; ``stop`` waits for the rest, and tidies up."""
        if not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Let requests in flight finish, then end the server and all it started; does nothing if it is gone."""
        process, self._guard = self._guard, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
            process.stdin.close()
            try:
                process.wait(self._stop_timeout_s + _GUARD_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                # The guard itself hangs, or waits for a process that the system does not let go.
                if self.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self.pid, signal.SIGKILL)
                process.kill()
                process.wait()
            process.stdout.close()
        if self._working is not None:
            # The guard has done so already, unless it was killed itself or never ran.
            guard.remove_shared_memory(self._name)
            shutil.rmtree(self._working, ignore_errors=True)

    def _last_words(self) -> str:
        lines = self._log.read_bytes()[self._log_start :].decode("utf-8", "replace").splitlines()
        # Triton prints tables of its settings last; what went wrong stands in lines that begin with E or error.
        faults = [line for line in lines if line.startswith(("E", "error"))] or lines
        return "\n".join([f"the end of {self._log}:", *(f"    {line[:400]}" for line in faults[-_LOG_TAIL_LINES:])])

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
