"""``visavis serve`` with two workers on the real Triton: what one worker learns, all know, in SQLite and in Redis.

A request goes to the worker that a test chooses: its connection is accepted while the other worker stands still.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from contracts.aliyun import bench as aliyun
from contracts.jdcloud import calling as jdcloud
from redis_server import BINARY, RedisServer
from running import RunningService, start_service

from visavis_proxy.contracts.jdcloud.admission import CHINA
from visavis_proxy.contracts.jdcloud.route import PATH as JDCLOUD
from visavis_proxy.credentials import Key

#: Longest that a caller waits for an answer while the store is away: three seconds, and what the machine takes. A
#: contract's own time is longer.
PATIENCE_S = 6.0
#: Of whoever must notice what became of the store.
NOTICED_S = 20.0
FACEPP = "/facepp/v3"


@dataclass(frozen=True)
class Sent:
    """One request, to be sent to any worker any number of times."""

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """What came back, and after which time."""

    status: int
    body: Any
    duration_s: float


def workers(service: RunningService) -> list[int]:
    """The process ids of the proxy's two workers."""
    below = psutil.Process(service.process.pid).children(recursive=True)
    found = [process.pid for process in below if "visavis_server.worker" in process.cmdline()]
    assert len(found) == 2
    return sorted(found)


def send(service: RunningService, request: Sent, worker: int | None = None) -> Answer:
    """Send a request to that worker, or to whichever takes it."""
    with connected(service, worker) as connection:
        begun = time.monotonic()
        connection.request(request.method, request.target, request.body, dict(request.headers or {}))
        response = connection.getresponse()
        text = response.read()
        return Answer(response.status, json.loads(text), time.monotonic() - begun)


@contextmanager
def connected(service: RunningService, worker: int | None) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=20)
    others = [pid for pid in workers(service) if worker is not None and pid != worker]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        connection.request("GET", "/health/live")
        assert connection.getresponse().read() == b'{"status":"live"}'
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
    # A connection that is opened anew might be another worker's.
    connection.auto_open = 0
    try:
        yield connection
    finally:
        connection.close()


def facepp(service: RunningService, path: str, files: Mapping[str, bytes], **fields: str) -> Sent:
    """A call of Face++ with its key in the form."""
    form = {"api_key": service.key_id, "api_secret": service.secret, **fields}
    request = httpx.Request("POST", f"{service.url}{FACEPP}/{path}", data=form, files=files or None)
    return Sent("POST", f"{FACEPP}/{path}", request.read(), dict(request.headers))


def jdcloud_call(service: RunningService, probe: bytes, reference: bytes) -> Sent:
    """A signed call of JD Cloud."""
    host = service.url.removeprefix("http://")
    signer = jdcloud.Signer(key_id=service.key_id, secret=service.secret, now=time.time(), host=host)
    body = jdcloud.body_of(probe, reference)
    return Sent("POST", JDCLOUD, body, signer.headers(body))


def aliyun_call(service: RunningService, probe: bytes, reference: bytes) -> Sent:
    """A signed call of Alibaba Cloud."""
    form = aliyun.form(aliyun.inline(probe), aliyun.inline(reference))
    key = Key(id=service.key_id, secret=service.secret)
    public = {"Timestamp": aliyun.stamp(time.time()), "SignatureNonce": os.urandom(16).hex()}
    call = aliyun.rpc(form, key=key, **public)
    return Sent(call.method, f"/?{urlencode(call.query)}", call.body, call.headers)


def aws_call(service: RunningService, picture: bytes, *, is_signed: bool = True) -> Sent:
    """A call of AWS."""
    path, body = "/prod/face_comparison", json.dumps({"img": jdcloud.text(picture)}).encode()
    request = AWSRequest("POST", f"{service.url}{path}", {"Content-Type": "application/json"}, body)
    if is_signed:
        keys = Credentials(service.key_id, service.secret)
        SigV4Auth(keys, "execute-api", "cn-northwest-1").add_auth(request)
    return Sent("POST", path, body, dict(request.headers.items()))


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if BINARY is None:
        pytest.skip("needs redis-server (apt-get install redis-server)")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


class Machine:
    """A service with two workers that can be started again; it borrows the Triton of the whole run."""

    def __init__(self, home: Path, triton: str, environment: dict[str, str]) -> None:
        self._start = home, ["--workers", "2", "--triton", triton], environment
        self.service = start_service(*self._start)

    def restart(self) -> None:
        """All of it but Triton ends and starts again."""
        assert self.service.stop() == 0
        self.service = start_service(*self._start)


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def machine(
    request: pytest.FixtureRequest, service: RunningService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    environment = {}
    if request.param == "redis":
        environment["VISAVIS_STATE__URL"] = request.getfixturevalue("redis_server").url
    started = Machine(tmp_path_factory.mktemp(request.param), service.grpc, environment)
    yield started
    started.service.stop()


def test_a_token_made_through_one_worker_works_through_the_other(machine: Machine, portraits: dict[str, bytes]) -> None:
    """A face_token is the machine's, not the worker's: all workers know it, after a restart too."""
    one, other = workers(machine.service)
    detected = send(machine.service, facepp(machine.service, "detect", {"image_file": portraits["hopper"]}), one)
    token = detected.body["faces"][0]["face_token"]
    compared = facepp(machine.service, "compare", {"image_file2": portraits["hopper"]}, face_token1=token)
    assert send(machine.service, compared, other).body["confidence"] > 99
    machine.restart()
    for worker in workers(machine.service):
        assert send(machine.service, compared, worker).body["confidence"] > 99


def test_a_nonce_used_at_one_worker_is_refused_at_the_other(machine: Machine, portraits: dict[str, bytes]) -> None:
    """A signed request, sent a second time, is a replay wherever it arrives, after a restart too."""
    one, other = workers(machine.service)
    pictures = portraits["hopper"], portraits["astronaut"]
    jd, ali = jdcloud_call(machine.service, *pictures), aliyun_call(machine.service, *pictures)
    assert send(machine.service, jd, one).body["code"] == "10000"
    assert send(machine.service, ali, one).body["Code"] == "1"
    for worker in (other, one):
        assert_replayed(send(machine.service, jd, worker), send(machine.service, ali, worker))
    # The port is another after a restart: JD Cloud's signature covers it, Alibaba Cloud's does not.
    machine.restart()
    for worker in workers(machine.service):
        assert send(machine.service, ali, worker).body["Code"] == "SignatureNonceUsed"


def assert_replayed(jd: Answer, ali: Answer) -> None:
    assert jd.status == 401
    assert "was used before" in jd.body["error"]["message"]
    assert (ali.status, ali.body["Code"]) == (400, "SignatureNonceUsed")


def day_in_china() -> date:
    return datetime.now(CHINA).date()


def calls_left(machine: Machine, *pictures: bytes) -> list[int]:
    """What eight calls say is left, of which four come after a restart."""
    left = []
    for is_restarted in (False, True):
        if is_restarted:
            machine.restart()
        for worker in workers(machine.service) * 2:
            left.append(send(machine.service, jdcloud_call(machine.service, *pictures), worker).body["remain"])
    return left


def test_calls_of_a_day_are_counted_by_all_workers_together(machine: Machine, portraits: dict[str, bytes]) -> None:
    """``remain`` goes down by one a call, whoever answers it, after a restart too."""
    day: date | None = None
    left: list[int] = []
    # Once more where China's midnight came meanwhile.
    while day != day_in_china():
        day, left = day_in_china(), calls_left(machine, portraits["hopper"], portraits["astronaut"])
    assert left == list(range(left[0], left[0] - 8, -1))


@pytest.fixture
def away(service: RunningService, tmp_path: Path) -> Iterator[tuple[RunningService, RedisServer]]:
    """A service of one's own with a Redis of its own, which is taken away."""
    if BINARY is None:
        pytest.skip("needs redis-server (apt-get install redis-server)")
    server = RedisServer(tmp_path)
    server.start()
    environment = {"VISAVIS_STATE__URL": server.url}
    started = start_service(tmp_path, ["--workers", "2", "--triton", service.grpc], environment)
    yield started, server
    started.stop()
    server.stop()


def calls(service: RunningService, picture: bytes) -> dict[str, Sent]:
    """One good call of every room."""
    return {
        "facepp": facepp(service, "compare", {"image_file1": picture, "image_file2": picture}),
        "aliyun": aliyun_call(service, picture, picture),
        "jdcloud": jdcloud_call(service, picture, picture),
        "aws": aws_call(service, picture),
    }


def word(answer: Answer) -> str | None:
    """What tells the errors of a contract apart, wherever it puts that."""
    body = answer.body
    found = body.get("error_message") or body.get("Code") or body.get("code") or body.get("message")
    return None if found is None else str(found)


GOOD = {"facepp": (200, None), "aliyun": (200, "1"), "jdcloud": (200, "10000"), "aws": (200, None)}
WITHOUT_STATE = {
    "facepp": (500, "INTERNAL_ERROR"),
    "aliyun": (500, "Error.InternalError"),
    "jdcloud": (200, "10020"),
    "aws": (502, "Internal server error"),
}


def test_without_redis_every_room_says_so_at_once_and_recovers(
    away: tuple[RunningService, RedisServer], portraits: dict[str, bytes]
) -> None:
    """A store that is gone, or hangs, costs no caller more than its documented error; what needs none works on."""
    served, server = away
    picture = portraits["hopper"]
    assert outcomes(served, picture) == GOOD
    server.stop()
    assert outcomes(served, picture) == WITHOUT_STATE
    assert send(served, aws_call(served, picture, is_signed=False)).status == 200
    assert_all_become(served, 503, missing="state")
    server.start()
    assert outcomes(served, picture) == GOOD
    assert_all_become(served, 200, missing=None)
    with server.hanging():
        assert outcomes(served, picture) == WITHOUT_STATE
    assert outcomes(served, picture) == GOOD


def assert_all_become(service: RunningService, status: int, *, missing: str | None) -> None:
    """Ready or not; each worker keeps what it found for a second."""
    for worker in workers(service):
        deadline = time.monotonic() + NOTICED_S
        while (answer := send(service, Sent("GET", "/health/ready"), worker)).status != status:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer.body.get("missing") == missing


def outcomes(service: RunningService, picture: bytes) -> dict[str, tuple[int, str | None]]:
    """Every room's status and word through either worker, which are the same, and never late in an outage."""
    seen: dict[str, tuple[int, str | None]] = {}
    for worker in workers(service):
        for room, request in calls(service, picture).items():
            answer = send(service, request, worker)
            outcome = answer.status, word(answer)
            assert seen.setdefault(room, outcome) == outcome
            if outcome != GOOD[room]:
                assert answer.duration_s < PATIENCE_S
    return seen
