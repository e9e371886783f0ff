"""Why engine or state fail stands in the log, once for many errors."""

from __future__ import annotations

import asyncio
import logging

import pytest
from clocks import Clock
from fakes import FakeState

from visavis_client.errors import EngineBusy, EngineFault, EngineTimeout
from visavis_client.fakes import FakeEngine
from visavis_proxy.complaints import Complaints
from visavis_proxy.measured import MeasuredEngine, MeasuredState
from visavis_proxy.metrics import Metrics
from visavis_proxy.state import StateUnavailable


def test_a_kind_of_error_is_told_at_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    complaints = Complaints(logging.getLogger("here"), clock=clock)
    for _ in range(3):
        complaints.tell(StateUnavailable("database or\ndisk is full"))
    complaints.tell(EngineTimeout("no answer"))
    clock.now += 31
    complaints.tell(StateUnavailable("disk I/O error"))
    assert [record.getMessage() for record in caplog.records] == [
        "StateUnavailable: database or disk is full",
        "EngineTimeout: no answer",
        "StateUnavailable: disk I/O error (and 2 more since the last such line)",
    ]


def test_state_that_fails_says_why(caplog: pytest.LogCaptureFixture) -> None:
    class Full(FakeState):
        async def take(self, bucket: str, per_second: float) -> bool:
            raise StateUnavailable("the state's file: database or disk is full")

    with pytest.raises(StateUnavailable):
        asyncio.run(MeasuredState(Full(), Metrics(), backend="sqlite").take("key", 1))
    assert "StateUnavailable: the state's file: database or disk is full" in caplog.text


def test_a_fault_of_the_engine_says_what_it_is_and_a_full_queue_is_none(caplog: pytest.LogCaptureFixture) -> None:
    engine = MeasuredEngine(
        FakeEngine({b"a": EngineFault("Triton answered 500: x"), b"b": EngineBusy("full")}), Metrics()
    )
    for picture, error in ((b"a", EngineFault), (b"b", EngineBusy)):
        with pytest.raises(error):
            asyncio.run(engine.analyse(picture))
    assert [record.getMessage() for record in caplog.records] == ["EngineFault: Triton answered 500: x"]
