"""``visavis serve`` on the real Triton: its start, its end, and what happens when parts of it are killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from running import ROOT, RunningService, start_service

from visavis_server.ports import free_loopback_ports

SHARED_MEMORY = Path("/dev/shm")
#: What a caller may be told while Triton is away.
BUSY = {"CONCURRENCY_LIMIT_EXCEEDED"}


def descendants(pid: int) -> set[int]:
    """Every living process below ``pid``."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found: set[int] = set()
    layer = {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found |= layer
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of them that run; a zombie does not."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found.add(pid)
    return found


def eventually(holds: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.1)


def traces(service: RunningService) -> list[Path]:
    """Shared memory and working directory of a service's Triton; other Tritons of this machine have their own."""
    flags = Path(f"/proc/{told(service)['triton']['pid']}/cmdline").read_text().split("\0")
    prefix = next(flag.split("=")[-1] for flag in flags if "shm-region-prefix-name" in flag)
    repository = next(flag.split("=")[-1] for flag in flags if flag.startswith("--model-repository"))
    found = [*SHARED_MEMORY.glob(f"{prefix}*"), Path(repository).parent]
    assert len(found) > 4
    return found


def told(service: RunningService) -> dict[str, dict[str, int]]:
    """The ready file of a service that ``start_service`` started."""
    found: dict[str, dict[str, int]] = json.loads((service.data_dir.parent / "ready.json").read_text())
    return found


def form(service: RunningService) -> dict[str, str]:
    return {"api_key": service.key_id, "api_secret": service.secret}


def ask(service: RunningService, portraits: dict[str, bytes], timeout_s: float = 20) -> httpx.Response:
    """One comparison of two pictures of one person."""
    pictures = {"image_file1": portraits["hopper"], "image_file2": portraits["hopper"]}
    return httpx.post(f"{service.url}/facepp/v3/compare", data=form(service), files=pictures, timeout=timeout_s)


def numbers(service: RunningService) -> str:
    return httpx.get(f"{service.url}/metrics", timeout=20).text


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of this module's own, since its parts are killed."""
    (port,) = free_loopback_ports(1)
    service = start_service(tmp_path_factory.mktemp("launched"), ["--workers", "2", "--triton-metrics-port", str(port)])
    assert service.metrics == f"127.0.0.1:{port}"
    yield service
    service.stop()


class TestStart:
    def test_one_line_says_where_it_is_and_where_its_keys_are(self, launched: RunningService) -> None:
        (line,) = [line for line in launched.log.read_text().splitlines() if line.startswith("ready:")]
        assert launched.url in line
        assert "credentials.toml" in line
        assert launched.secret not in launched.log.read_text()

    def test_it_answers_as_soon_as_it_says_so(self, launched: RunningService, portraits: dict[str, bytes]) -> None:
        assert ask(launched, portraits).json()["confidence"] > 99

    def test_triton_listens_on_loopback_alone(self, launched: RunningService) -> None:
        for address in (launched.grpc, launched.http, launched.metrics):
            assert address.startswith("127.0.0.1:")
        assert httpx.get(f"http://{launched.http}/v2/health/ready", timeout=20).status_code == 200

    def test_it_says_where_tritons_metrics_are(self, launched: RunningService) -> None:
        """Where the option has put them; they stay there when Triton is started again."""
        address = f"http://{launched.metrics}/metrics"
        assert f"its metrics: {address}\n" in launched.log.read_text()
        assert "nv_inference_request_success" in httpx.get(address, timeout=20).text


class TestCrash:
    def test_triton_killed_under_load_comes_back_and_no_request_hangs(
        self, launched: RunningService, portraits: dict[str, bytes]
    ) -> None:
        answers: list[httpx.Response] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                answers.append(ask(launched, portraits))

        callers = [threading.Thread(target=load) for _ in range(4)]
        for caller in callers:
            caller.start()
        try:
            eventually(lambda: len(answers) > 4, 60)
            first = told(launched)["triton"]["pid"]
            os.kill(first, signal.SIGKILL)
            eventually(lambda: told(launched)["triton"]["pid"] != first, 120)
            assert 'visavis_restarts_total{process="triton"} 1.0' in numbers(launched)
            since = len(answers)
            eventually(lambda: any(answer.status_code == 200 for answer in answers[since:]), 60)
        finally:
            over.set()
            for caller in callers:
                caller.join(30)
        assert not any(caller.is_alive() for caller in callers)
        for answer in answers:
            if answer.status_code == 200:
                assert answer.json()["confidence"] > 99
            else:
                assert answer.json()["error_message"].split(":")[0] in BUSY
        assert {200} < {answer.status_code for answer in answers}

    def test_a_killed_worker_is_replaced(self, launched: RunningService, portraits: dict[str, bytes]) -> None:
        before = workers(launched)
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(workers(launched) - {min(before)}) == 2, 60)
        assert ask(launched, portraits).status_code == 200

        def is_told() -> bool:
            text = numbers(launched)
            return 'visavis_restarts_total{process="worker"} 1.0' in text and "visavis_workers 2.0" in text

        # What the dead one had under way is counted no more.
        eventually(is_told, 60)


def workers(service: RunningService) -> set[int]:
    found = set()
    for pid in descendants(service.process.pid):
        try:
            if b"visavis_server.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class TestStop:
    def test_a_request_in_flight_is_finished_and_nothing_is_left(
        self, tmp_path: Path, portraits: dict[str, bytes]
    ) -> None:
        service = start_service(tmp_path)
        pids, files = descendants(service.process.pid), traces(service)
        assert len(pids) > 4
        pictures = {"image_file1": portraits["hopper"], "image_file2": portraits["hopper"]}
        request = httpx.Request("POST", f"{service.url}/facepp/v3/compare", data=form(service), files=pictures)
        body = request.read()
        head = [b"POST /facepp/v3/compare HTTP/1.1", b"Expect: 100-continue"]
        head += [name + b": " + value for name, value in request.headers.raw]
        host, port = service.url.removeprefix("http://").split(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as connection,
            connection.makefile("rb") as answer,
        ):
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n")
            # From there on it is a request in flight, and no connection that nobody has accepted yet.
            assert b" 100 " in answer.readline() + answer.readline()
            connection.sendall(body[: len(body) // 2])
            service.process.terminate()
            time.sleep(1)
            connection.sendall(body[len(body) // 2 :])
            assert b" 200 " in answer.readline()
            assert b'"confidence"' in answer.read()
        assert service.stop() == 0
        assert not alive(pids)
        assert not [path for path in files if path.exists()]
        assert not (tmp_path / "ready.json").exists()

    def test_a_killed_launcher_leaves_nothing(self, tmp_path: Path) -> None:
        service = start_service(tmp_path)
        pids, files = descendants(service.process.pid), traces(service)
        service.process.kill()
        service.process.wait()
        eventually(lambda: not alive(pids), 60)
        assert not [path for path in files if path.exists()]


class TestRefusal:
    """Each is one sentence and status 1, before anything was started."""

    def refused(self, home: Path, *arguments: str) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "visavis_server", "serve", *arguments],
            cwd=ROOT,
            env={**os.environ, "VISAVIS_DATA_DIR": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 1
        (line,) = run.stderr.splitlines()
        assert line.startswith("visavis: ")
        return line

    def test_a_taken_port(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert f"cannot listen on 127.0.0.1:{port}" in self.refused(tmp_path, "--port", str(port))

    def test_credentials_that_others_can_read(self, tmp_path: Path) -> None:
        keys = tmp_path / "keys.toml"
        keys.write_text('[[key]]\nid = "a"\nsecret = "very secret"\n')
        keys.chmod(0o644)
        line = self.refused(tmp_path, "--port", "0", "--credentials", str(keys))
        assert "chmod 600" in line
        assert "very secret" not in line

    def test_credentials_that_are_not_there(self, tmp_path: Path) -> None:
        assert "nowhere.toml" in self.refused(tmp_path, "--port", "0", "--credentials", str(tmp_path / "nowhere.toml"))

    def test_a_folder_that_is_no_model_repository(self, tmp_path: Path) -> None:
        line = self.refused(tmp_path, "--port", "0", "--model-repository", str(tmp_path))
        assert "is not the model repository" in line

    def test_a_setting_out_of_range(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VISAVIS_ENGINE_TIMEOUT_S", "-1")
        assert "VISAVIS_ENGINE_TIMEOUT_S" in self.refused(tmp_path, "--port", "0")


def test_a_second_service_in_the_same_data_directory_is_refused_and_harms_nothing(service: RunningService) -> None:
    command = [sys.executable, "-m", "visavis_server", "serve", "--port", "0", "--data-dir", str(service.data_dir)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"process {service.process.pid}" in second.stderr
    assert (service.data_dir / "serving.json").exists()
