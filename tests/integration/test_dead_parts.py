"""A part of the service that is killed or hangs is noticed and replaced, with the real Triton, while callers go on."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from running import RunningService, start_service

from visavis_server.stubs import children_of

#: Of a restart of Triton, or of a worker after the ten seconds without a sign of life.
PATIENCE_S = 120.0
BUSY = "CONCURRENCY_LIMIT_EXCEEDED"


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of this module's own, with one worker."""
    service = start_service(tmp_path_factory.mktemp("mortal"))
    yield service
    assert service.stop() == 0


def triton_of(service: RunningService) -> int:
    pid: int = json.loads((service.data_dir.parent / "ready.json").read_text())["triton"]["pid"]
    return pid


def stub_of(service: RunningService, model: str) -> int:
    """One process of that model."""
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children_of(triton_of(service))}
    return min(pid for pid, line in lines.items() if f"/models/{model}/" in line)


def worker_of(service: RunningService) -> int:
    children = psutil.Process(service.process.pid).children()
    (worker,) = (child.pid for child in children if "visavis_server.worker" in child.cmdline())
    return worker


def compare(service: RunningService, picture: bytes) -> str:
    """What Face++'s operation says to a comparison of a picture with itself: ``fine``, or its error."""
    form = {"api_key": service.key_id, "api_secret": service.secret}
    files = {"image_file1": picture, "image_file2": picture}
    answer = httpx.post(f"{service.url}/facepp/v3/compare", data=form, files=files, timeout=PATIENCE_S).json()
    return "fine" if answer.get("confidence", 0) > 99 else str(answer["error_message"])


class Callers:
    """Two who ask again and again, and keep what they were told and how long each answer took."""

    def __init__(self, service: RunningService, picture: bytes) -> None:
        self._service = service
        self._picture = picture
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(2)]
        self.told: list[tuple[str, float]] = []

    def _call(self) -> None:
        while not self._over.wait(0.1):
            begun = time.monotonic()
            try:
                words = compare(self._service, self._picture)
            except httpx.TransportError:
                words = "cut off"
            self.told.append((words, time.monotonic() - begun))

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        self.wait_for_answers()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def wait_for_answers(self) -> None:
        """Until six more comparisons in a row were answered, which is each instance's turn several times."""
        since = len(self.told)
        eventually(lambda: len(self.told) > since + 6 and {words for words, _ in self.told[-6:]} == {"fine"})


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        time.sleep(0.1)


def kill_stub(service: RunningService) -> None:
    os.kill(stub_of(service, "face_embedder"), signal.SIGKILL)


def stop_stub(service: RunningService) -> None:
    os.kill(stub_of(service, "image_decoder"), signal.SIGSTOP)


def stop_triton(service: RunningService) -> None:
    os.kill(triton_of(service), signal.SIGSTOP)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (kill_stub, r"Triton: the process of face_embedder_\d_0 was ended by SIGKILL; starting it again"),
        (stop_stub, r"Triton: the process of image_decoder_\d_0 is stopped; starting it again"),
        (stop_triton, r"Triton: it is stopped; starting it again"),
    ],
)
def test_triton_is_replaced(
    mortal: RunningService, portraits: dict[str, bytes], harm: Callable[[RunningService], None], reason: str
) -> None:
    """Callers are told to come again meanwhile, and nobody waits for longer than it takes to notice."""
    before = triton_of(mortal)
    with Callers(mortal, portraits["hopper"]) as callers:
        harm(mortal)
        eventually(lambda: triton_of(mortal) != before)
        callers.wait_for_answers()
    assert {words for words, _ in callers.told} <= {"fine", BUSY}
    assert max(seconds for _, seconds in callers.told) < 8
    assert not psutil.pid_exists(before)
    assert len(re.findall(reason, mortal.log.read_text())) == 1


def test_a_worker_that_stands_still_is_replaced(mortal: RunningService, portraits: dict[str, bytes]) -> None:
    """Its callers are cut off; those who come meanwhile wait for the next one."""
    before = worker_of(mortal)
    with Callers(mortal, portraits["hopper"]) as callers:
        os.kill(before, signal.SIGSTOP)
        eventually(lambda: not psutil.pid_exists(before))
        callers.wait_for_answers()
    assert {words for words, _ in callers.told} <= {"fine", "cut off"}
    assert "worker 1 of the proxy: it gave no sign of life for 10 s; starting it again" in mortal.log.read_text()
