"""The gateway's statuses, each produced by a request: nobody is proven to call, or nothing is there."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from contracts.jdcloud.calling import PROBE, Room, Signer, body_of, text
from contracts.jdcloud.document import GATEWAY
from fakes import TEST_KEY

from visavis_client.faces import BoundingBox, PictureAnalysis
from visavis_client.fakes import FakeEngine
from visavis_proxy.contracts.jdcloud.route import PATH
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings

documented = pytest.mark.documented


def assert_gateway(room: Room, response: Any, status: str) -> str:
    """The gateway's shape, its request id in the header too; the engine was not asked. Gives the message."""
    assert response.status_code == GATEWAY[status]
    answer = response.json()
    assert list(answer) == ["requestId", "error"]
    assert answer["requestId"] == response.headers["x-jdcloud-request-id"]
    message: str = answer["error"].pop("message")
    assert answer["error"] == {"status": status, "code": GATEWAY[status]}
    assert room.engine.asked == []
    return message


@documented("jdcloud", "error", "401 UNAUTHENTICATED")
@pytest.mark.parametrize(
    ("signer", "message"),
    [
        (Signer(secret="wrong"), "does not match"),
        (Signer(key_id="stranger"), "unknown"),
        (Signer(now=Signer().now - 901), "clock"),
        (Signer(now=Signer().now + 901), "clock"),
        (Signer(signed=("content-type", "host", "x-jdcloud-date")), "SignedHeaders"),
        (Signer(extra=(("x-jdcloud-content-sha256", "0" * 64),)), "hash"),
    ],
)
def test_gateway_401(signer: Signer, message: str) -> None:
    """What does not prove who calls is refused, with a text that repeats neither key nor secret."""
    room = Room()
    said = assert_gateway(room, room.post(signer=signer), "UNAUTHENTICATED")
    assert message in said
    assert signer.key_id not in said
    assert signer.secret not in said


@pytest.mark.parametrize("seconds", [-900, 900])
def test_a_clock_within_the_window_is_accepted(seconds: int) -> None:
    """A quarter of an hour to either side is allowed."""
    assert Room().ask(signer=Signer(now=Signer().now + seconds))["charge"] is True


def test_gateway_401_without_a_signature() -> None:
    """No Authorization, no call."""
    room = Room()
    assert "Authorization" in assert_gateway(room, room.send("POST", PATH, body_of()), "UNAUTHENTICATED")


@pytest.mark.parametrize("version", ["2", "3"])
def test_gateway_401_for_a_replayed_nonce(version: str) -> None:
    """A nonce is good once, as long as its date is; a forger, who cannot sign, does not use it up."""
    room = Room()
    signer = Signer(version=version, nonce="once")
    assert room.post(signer=replace(signer, secret="forged")).status_code == 401
    assert room.ask(signer=signer)["charge"] is True
    room.engine.asked.clear()
    assert "used before" in assert_gateway(room, room.post(signer=signer), "UNAUTHENTICATED")


def test_a_nonce_is_remembered_while_its_date_is_good() -> None:
    """A request dated ahead of our clock is refused a second time at the very end of its window too."""
    room = Room()
    signer = Signer(now=room.now + 900, nonce="once")
    assert room.ask(signer=signer)["charge"] is True
    room.now += 1800
    assert room.post(signer=signer).status_code == 401
    assert room.ask(signer=replace(signer, nonce="twice"))["charge"] is True


@documented("jdcloud", "error", "404 NOT_FOUND")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("PUT", PATH),
        ("OPTIONS", PATH),
        ("BREW", PATH),
        ("POST", "/jdai"),
        ("POST", "/jdai/"),
        ("POST", "/jdai/face_compare"),
        ("POST", PATH + "/"),
        ("POST", "/jdai/facecomparev1"),
    ],
)
def test_gateway_404(method: str, path: str) -> None:
    """Another method or path is not found, and never redirected."""
    room = Room()
    assert_gateway(room, room.send(method, path), "NOT_FOUND")


@documented("jdcloud", "error", "400 OUT_OF_RANGE")
def test_gateway_400_for_an_endless_body() -> None:
    """A body beyond the limit is refused whoever sends it."""
    room = Room(settings=JdCloudSettings(max_body_bytes=1000))
    assert "1000 bytes" in assert_gateway(room, room.post(b"x" * 1001), "OUT_OF_RANGE")
    assert room.ask(b"x" * 1000)["result"]["code"] == 31


@documented("jdcloud", "error", "499 CANCELLED")
def test_gateway_499_for_a_body_that_does_not_arrive() -> None:
    """A caller who leaves, or dawdles, is no error of ours."""
    room = Room()
    assert_gateway(room, room.abandon(), "CANCELLED")


class BrokenEngine(FakeEngine):
    """Fails in a way that nobody foresaw, and quotes the picture."""

    async def analyse(
        self, image: bytes, *, max_faces: int = 1, region: BoundingBox | None = None, timeout_s: float | None = None
    ) -> PictureAnalysis:
        raise RuntimeError(repr(image))


@documented("jdcloud", "error", "500 INTERNAL")
def test_gateway_500_for_what_nobody_expected(caplog: pytest.LogCaptureFixture) -> None:
    """The answer has a request id, the log has it too with the kind and the way of the error, and neither quotes."""
    room = Room(change=lambda given: replace(given, engine=BrokenEngine({})))
    with caplog.at_level(logging.DEBUG):
        response = room.post()
    assert assert_gateway(room, response, "INTERNAL") == "internal error"
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert response.json()["requestId"] in logged
    assert "RuntimeError" in logged
    assert "route.py" in logged
    for private in (repr(PROBE)[:20], text(PROBE)[:20], TEST_KEY.secret.get_secret_value()):
        assert private not in logged
