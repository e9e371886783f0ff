"""The envelope's own codes, each produced by a request: a proven caller whose call is not made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from contracts.jdcloud.calling import PROBE, REFERENCE, Room
from contracts.jdcloud.document import SYSTEM
from fakes import TEST_KEY, FakeState

from visavis_client import errors as domain
from visavis_client.fakes import fake_analysis, fake_face
from visavis_proxy.credentials import Contract
from visavis_proxy.state import StateUnavailable

documented = pytest.mark.documented

FACE = fake_face(1, 0)


def assert_system(envelope: dict[str, Any], code: str, remain: int) -> None:
    """HTTP 200, the code and its msg, nothing charged, no result."""
    assert envelope.pop("requestId")
    assert envelope == {
        "code": code,
        "charge": False,
        "remain": remain,
        "remainTimes": remain,
        "remainSeconds": -1,
        "msg": SYSTEM[code],
        "result": None,
    }


def system(code: str, *values: Any) -> Any:
    return pytest.param(code, *values, id=code, marks=documented("jdcloud", "error", code))


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        system("10020", domain.EngineBusy("x")),
        system("10020", domain.EngineUnavailable("x")),
        system("11010", domain.EngineFault("x")),
        system("11030", domain.RegionInvalid("x")),
    ],
)
def test_system_code_of_the_engine(code: str, fault: domain.VisavisError) -> None:
    """An engine at fault is no finding about the pictures: no result, nothing charged."""
    assert_system(Room({PROBE: fake_analysis(FACE), REFERENCE: fault}).ask(), code, TEST_KEY.daily_quota)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        system("10050", {"disabled": "Denied by Admin"}),
        system("10048", {"contracts": (Contract.FACEPP,)}),
        system("10040", {"daily_quota": 0}),
    ],
)
def test_system_code_of_a_key(code: str, change: dict[str, Any]) -> None:
    """A proven key that may not call is told why, and none of its calls is left; the engine is not asked."""
    room = Room(keys=[TEST_KEY.model_copy(update=change)])
    assert_system(room.ask(), code, 0)
    assert room.engine.asked == []


@documented("jdcloud", "error", "10040")
def test_10040_when_the_day_is_used_up() -> None:
    """The last call leaves 0, the next is refused, and a new day begins anew."""
    room = Room(keys=[TEST_KEY.model_copy(update={"daily_quota": 2})])
    assert [room.ask()["remain"], room.ask()["remain"]] == [1, 0]
    assert_system(room.ask(), "10040", 0)
    room.now += 86_400
    assert room.ask()["remain"] == 1


class SpentMeanwhile(FakeState):
    """Another worker takes the last call while this one compares."""

    async def spend(self, counter: str, quota: int, *, day: str) -> int | None:
        return None


def test_10040_when_another_call_was_faster() -> None:
    """Two calls cannot share the last one of a day."""
    assert_system(Room(change=lambda given: replace(given, state=SpentMeanwhile())).ask(), "10040", 0)


@documented("jdcloud", "error", "10043")
def test_10043_above_the_rate() -> None:
    """A key's second call within its second is refused with what is left of the day; a second later it may."""
    room = Room(keys=[TEST_KEY.model_copy(update={"qps": 1})])
    left = TEST_KEY.daily_quota - 1
    assert room.ask()["remain"] == left
    assert_system(room.ask(), "10043", left)
    room.now += 1
    assert room.ask()["remain"] == left - 1


class NoState(FakeState):
    """Cannot be reached."""

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        raise StateUnavailable("connection refused")


def test_10020_without_the_state() -> None:
    """Where nonces cannot be remembered, no call is made."""
    room = Room(change=lambda given: replace(given, state=NoState()))
    assert_system(room.ask(), "10020", 0)
    assert room.engine.asked == []
