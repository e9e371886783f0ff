"""What an operator tells a running service by signals: read the keys anew, and leave without losing a request."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from running import KEYS, RunningService, start_service

#: Of the signals' way to both workers.
PATIENCE_S = 60.0
#: In which a few requests are asked, one after the other.
DRAIN_S = 8.0


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        time.sleep(0.05)


def workers(service: RunningService) -> list[int]:
    found = []
    for process in psutil.Process(service.process.pid).children(recursive=True):
        # One that has just ended has no command line any more.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "visavis_server.worker" in process.cmdline():
                found.append(process.pid)
    return sorted(found)


def status(service: RunningService, path: str) -> int:
    return httpx.get(f"{service.url}{path}", timeout=20).status_code


def said_to(service: RunningService, key_id: str, secret: str) -> set[str]:
    """Face++'s words to ten calls without pictures, over connections of their own."""
    form = {"api_key": key_id, "api_secret": secret}
    answers = (httpx.post(f"{service.url}/facepp/v3/compare", data=form, timeout=20) for _ in range(10))
    return {answer.json()["error_message"].partition(":")[0] for answer in answers}


KNOWN, UNKNOWN = {"MISSING_ARGUMENTS"}, {"AUTHENTICATION_ERROR"}


@pytest.fixture(scope="module")
def signalled(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of this module's own, with two workers in front of the Triton of the whole run."""
    started = start_service(tmp_path_factory.mktemp("signalled"), ["--workers", "2", "--triton", service.grpc])
    yield started
    assert started.stop() == 0


@pytest.fixture
def keys(signalled: RunningService) -> Iterator[Path]:
    """Its file of keys, which is put back."""
    file = signalled.data_dir.parent / "credentials.toml"
    yield file
    file.write_text(KEYS)
    reload(signalled, "read the keys anew")


def reload(service: RunningService, words: str) -> str:
    """Have the keys read anew, and wait until both workers have said so; what they said."""
    before = len(service.log.read_text())
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: service.log.read_text()[before:].count(words) == len(workers(service)) == 2)
    return service.log.read_text()[before:]


def both_are_up(service: RunningService) -> bool:
    """Processes that are there, and count themselves, as the dead one does no more by then."""
    if len(workers(service)) < 2:
        return False
    return "visavis_workers 2.0" in httpx.get(f"{service.url}/metrics", timeout=20).text


def wait_until_quiet(service: RunningService) -> None:
    """Until a second has passed in which no keys were read."""
    before, now = -1, service.log.read_text().count("read the keys anew")
    while now > before:
        time.sleep(1)
        before, now = now, service.log.read_text().count("read the keys anew")


def test_a_key_that_was_taken_out_is_refused_by_all_workers(signalled: RunningService, keys: Path) -> None:
    """And one that was put in is known, while nothing has been started again."""
    before = workers(signalled)
    assert said_to(signalled, signalled.trial_key_id, signalled.trial_secret) == KNOWN
    keys.write_text('[[key]]\nid = "another"\nsecret = "anotherSecret"\n')
    assert "there are 1" in reload(signalled, "read the keys anew")
    assert said_to(signalled, signalled.trial_key_id, signalled.trial_secret) == UNKNOWN
    assert said_to(signalled, "another", "anotherSecret") == KNOWN
    assert workers(signalled) == before


def test_a_key_that_was_disabled_is_told_why(signalled: RunningService, keys: Path) -> None:
    keys.write_text(KEYS.replace('tier = "trial"', 'tier = "trial"\ndisabled = "Denied by Admin"'))
    reload(signalled, "read the keys anew")
    (said,) = said_to(signalled, signalled.trial_key_id, signalled.trial_secret)
    assert said not in KNOWN | UNKNOWN


@pytest.mark.parametrize(
    "text", ['[[key]]\nid = "x"\nsecret = "halfWritten', "", '[[key]]\nid = "x"\nsecretary = "1"\n']
)
def test_a_broken_file_changes_nothing(signalled: RunningService, keys: Path, text: str) -> None:
    """Each worker says in one line what is wrong with it, without a secret."""
    keys.write_text(text)
    log = reload(signalled, "the keys stay as they were")
    assert str(keys) in log
    assert "halfWritten" not in log
    assert "Traceback" not in log
    assert said_to(signalled, signalled.trial_key_id, signalled.trial_secret) == KNOWN


def test_a_request_under_way_is_answered(signalled: RunningService, keys: Path, portraits: dict[str, bytes]) -> None:
    """Its second half comes after the signal."""
    form = {"api_key": signalled.key_id, "api_secret": signalled.secret}
    pictures = {"image_file1": portraits["hopper"], "image_file2": portraits["hopper"]}
    request = httpx.Request("POST", f"{signalled.url}/facepp/v3/compare", data=form, files=pictures)
    body = request.read()
    head = [b"POST /facepp/v3/compare HTTP/1.1", *(name + b": " + value for name, value in request.headers.raw)]
    host, port = signalled.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"\r\n".join([*head, b"", b""]) + body[: len(body) // 2])
        reload(signalled, "read the keys anew")
        connection.sendall(body[len(body) // 2 :])
        assert b" 200 " in connection.recv(4096)


def test_no_worker_misses_it_or_dies_of_it_while_it_starts(signalled: RunningService, keys: Path) -> None:
    """Signals that come while a worker is started again are heard by it all the same."""
    first, second = workers(signalled)
    os.kill(first, signal.SIGKILL)
    keys.write_text('[[key]]\nid = "another"\nsecret = "anotherSecret"\n')
    before = len(signalled.log.read_text())
    deadline = time.monotonic() + PATIENCE_S
    while not both_are_up(signalled) or "there are 1" not in signalled.log.read_text()[before:]:
        assert time.monotonic() < deadline
        signalled.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    # What the last of these signals have to say must not be taken for answers to the next one.
    wait_until_quiet(signalled)
    reload(signalled, "read the keys anew")
    assert said_to(signalled, signalled.key_id, signalled.secret) == UNKNOWN
    assert second in workers(signalled)
    assert signalled.log.read_text()[before:].count("starting it again") == 1


def draining(service: RunningService, home: Path, drain_s: float) -> RunningService:
    started = start_service(home, ["--triton", service.grpc], {"VISAVIS_DRAIN_S": str(drain_s)})
    assert status(started, "/health/ready") == 200
    started.process.send_signal(signal.SIGTERM)
    eventually(lambda: status(started, "/health/ready") == 503)
    return started


def test_a_service_that_leaves_says_so_first_and_still_answers(
    service: RunningService, tmp_path: Path, portraits: dict[str, bytes]
) -> None:
    """Not ready for those who choose, live and at work for those who come; then it ends, as before."""
    begun = time.monotonic()
    leaving = draining(service, tmp_path, DRAIN_S)
    assert json.loads(httpx.get(f"{leaving.url}/health/ready", timeout=20).text)["status"] == "leaving"
    assert status(leaving, "/health/live") == 200
    form = {"api_key": leaving.key_id, "api_secret": leaving.secret}
    pictures = {"image_file1": portraits["hopper"], "image_file2": portraits["hopper"]}
    answer = httpx.post(f"{leaving.url}/facepp/v3/compare", data=form, files=pictures, timeout=20)
    assert answer.json()["confidence"] > 99
    assert leaving.process.wait(PATIENCE_S) == 0
    assert time.monotonic() - begun > DRAIN_S


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_wait(service: RunningService, tmp_path: Path, second: signal.Signals) -> None:
    leaving = draining(service, tmp_path, 300)
    leaving.process.send_signal(second)
    assert leaving.process.wait(PATIENCE_S) == 0
