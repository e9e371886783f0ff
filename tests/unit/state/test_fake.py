"""The fake store that rooms are tested with keeps the promises of a real one."""

from __future__ import annotations

import pytest
from clocks import Clock
from fakes import FakeState
from state_contract import Pass, StateContract


class TestFakeState(StateContract):
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def pass_time(self, clock: Clock) -> Pass:
        return clock.pass_time

    @pytest.fixture
    def store(self, clock: Clock) -> FakeState:
        return FakeState(clock)
