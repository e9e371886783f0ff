"""The stages of a request add up to the whole, however its parts overlap."""

from __future__ import annotations

import asyncio

import pytest

from visavis_proxy import stages
from visavis_proxy.stages import Stage, Stopwatch, begin, during, start_stopwatch


def _passed(stopwatch: Stopwatch) -> set[Stage]:
    return {stage for stage in Stage if stopwatch.seconds[stage] > 0}


class Clock:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """By which stopwatches go."""
    clock = Clock()
    monkeypatch.setattr(stages, "time", clock)
    return clock


def test_stages_add_up_to_the_whole(clock: Clock) -> None:
    """Every moment belongs to one stage, those between two marks included."""
    stopwatch = Stopwatch()
    for stage in (Stage.PARSE, Stage.VERIFY, Stage.PARSE, Stage.ENGINE):
        clock.seconds = clock.seconds * 2 + 1
        stopwatch.begin(stage)
    clock.seconds = 31
    assert stopwatch.stop() == 31
    assert {stage: stopwatch.seconds[stage] for stage in _passed(stopwatch)} == {
        Stage.READ: 1,
        Stage.PARSE: 2 + 8,
        Stage.VERIFY: 4,
        Stage.ENGINE: 16,
    }


def test_both_pictures_are_in_the_engine_once(clock: Clock) -> None:
    """The engine's stage lasts from the first picture's way in to the last one's way out, and then comes the answer."""

    async def ask(seconds: float) -> None:
        with during(Stage.ENGINE, then=Stage.ANSWER):
            # The other one comes in meanwhile.
            await asyncio.sleep(0)
            clock.seconds += seconds

    async def request() -> Stopwatch:
        stopwatch = start_stopwatch()
        await asyncio.gather(ask(2), ask(3))
        clock.seconds += 1
        stopwatch.stop()
        return stopwatch

    stopwatch = asyncio.run(request())
    assert {stage: stopwatch.seconds[stage] for stage in _passed(stopwatch)} == {Stage.ENGINE: 5, Stage.ANSWER: 1}


def test_who_leaves_a_stage_goes_on_where_it_was() -> None:
    """A call of the state inside the proof of a key ends in that proof again, also where it fails."""

    async def request() -> tuple[Stopwatch, list[Stage]]:
        stopwatch, seen = start_stopwatch(), []
        with during(Stage.VERIFY):
            with during(Stage.STATE):
                seen.append(stopwatch.stage)
            seen.append(stopwatch.stage)
            with pytest.raises(TimeoutError), during(Stage.STATE):
                raise TimeoutError
            seen.append(stopwatch.stage)
        return stopwatch, [*seen, stopwatch.stage]

    stopwatch, seen = asyncio.run(request())
    assert seen == [Stage.STATE, Stage.VERIFY, Stage.VERIFY, Stage.READ]
    assert _passed(stopwatch) == {Stage.READ, Stage.VERIFY, Stage.STATE}


def test_each_request_has_its_own_stopwatch() -> None:
    """Two requests on one event loop do not move each other's on."""

    async def request(stage: Stage) -> set[Stage]:
        stopwatch = start_stopwatch()
        await asyncio.sleep(0)
        begin(stage)
        await asyncio.sleep(0)
        stopwatch.stop()
        return _passed(stopwatch)

    async def two() -> list[set[Stage]]:
        return list(await asyncio.gather(request(Stage.PARSE), request(Stage.FETCH)))

    assert asyncio.run(two()) == [{Stage.READ, Stage.PARSE}, {Stage.READ, Stage.FETCH}]


def test_outside_of_a_request_nothing_is_measured() -> None:
    """A command that uses the engine has no stopwatch, and needs none."""
    begin(Stage.PARSE)
    with during(Stage.ENGINE):
        pass
