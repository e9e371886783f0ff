"""The stages of a request add up to the whole, however its parts overlap."""

from __future__ import annotations

import asyncio
import time

import pytest

from visavis_proxy.stages import Stage, Stopwatch, begin, during, start_stopwatch


def _passed(stopwatch: Stopwatch) -> set[Stage]:
    return {stage for stage in Stage if stopwatch.seconds[stage] > 0}


def test_stages_add_up_to_the_whole() -> None:
    """Every moment belongs to one stage, those between two marks included."""
    begun, stopwatch = time.perf_counter(), Stopwatch()
    for stage in (Stage.PARSE, Stage.VERIFY, Stage.PARSE, Stage.ENGINE):
        stopwatch.begin(stage)
    whole = stopwatch.stop()
    assert whole == pytest.approx(time.perf_counter() - begun, abs=0.01)
    assert _passed(stopwatch) == {Stage.READ, Stage.PARSE, Stage.VERIFY, Stage.ENGINE}


def test_both_pictures_are_in_the_engine_once() -> None:
    """The engine's stage lasts from the first picture's way in to the last one's way out, and then comes the answer."""

    async def ask(seconds: float) -> None:
        with during(Stage.ENGINE, then=Stage.ANSWER):
            await asyncio.sleep(seconds)

    async def request() -> Stopwatch:
        stopwatch = start_stopwatch()
        await asyncio.gather(ask(0.02), ask(0.05))
        await asyncio.sleep(0.01)
        stopwatch.stop()
        return stopwatch

    seconds = asyncio.run(request()).seconds
    assert 0.045 <= seconds[Stage.ENGINE] < 0.07
    assert seconds[Stage.ANSWER] >= 0.009
    assert not seconds[Stage.PARSE]


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
