"""Both pictures of a comparison are worked on at once, and the same request always gets the same answer."""

from __future__ import annotations

import asyncio

import pytest

from visavis_proxy.both import both


def test_both_run_at_once_and_come_back_in_order() -> None:
    async def main() -> tuple[str, str]:
        second_began = asyncio.Event()

        async def first() -> str:
            await second_began.wait()
            return "first"

        async def second() -> str:
            second_began.set()
            return "second"

        return await asyncio.wait_for(both(first(), second()), 10)

    assert asyncio.run(main()) == ("first", "second")


def test_the_first_sides_fault_is_told_though_the_seconds_came_earlier() -> None:
    async def fail(after_s: float, fault: Exception) -> None:
        await asyncio.sleep(after_s)
        raise fault

    with pytest.raises(KeyError):
        asyncio.run(both(fail(0.02, KeyError()), fail(0, ValueError())))


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_side_whose_outcome_no_longer_matters_has_ended(is_cancelled: bool) -> None:
    async def main() -> bool:
        ended = asyncio.Event()

        async def forever() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        async def fail() -> None:
            await asyncio.sleep(0)
            raise KeyError

        task = asyncio.ensure_future(both(forever() if is_cancelled else fail(), forever()))
        if is_cancelled:
            # Not where a side fails: that may take longer than any pause.
            await asyncio.sleep(0.01)
            task.cancel()
        with pytest.raises(asyncio.CancelledError if is_cancelled else KeyError):
            await task
        return ended.is_set()

    assert asyncio.run(main())
