"""Many who ask cost no more than one who does."""

from __future__ import annotations

import asyncio

import pytest

from visavis_proxy.shared_check import SharedCheck

pytestmark = pytest.mark.anyio


class Asked:
    """Answers when it may, and counts."""

    def __init__(self) -> None:
        self.answer = True
        self.times = 0
        self.may = asyncio.Event()

    async def __call__(self) -> bool:
        self.times += 1
        await self.may.wait()
        return self.answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_all_who_ask_at_once_are_given_one_answer() -> None:
    asked = Asked()
    check = SharedCheck(asked, Clock())
    waiting = [asyncio.create_task(check()) for _ in range(5)]
    await asyncio.sleep(0)
    asked.may.set()
    assert await asyncio.gather(*waiting) == [True] * 5
    assert asked.times == 1


async def test_an_answer_is_kept_for_a_second_and_no_longer() -> None:
    """Also by a clock that is set back."""
    asked, clock = Asked(), Clock()
    asked.may.set()
    check = SharedCheck(asked, clock)
    assert await check()
    asked.answer = False
    clock.now += 0.9
    assert await check()
    clock.now += 0.2
    assert not await check()
    asked.answer = True
    clock.now -= 10
    assert await check()
    assert asked.times == 3


async def test_one_who_goes_takes_nothing_from_the_others() -> None:
    asked = Asked()
    check = SharedCheck(asked, Clock())
    first, second = (asyncio.create_task(check()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    asked.may.set()
    assert await second
    assert asked.times == 1


async def test_a_question_that_failed_is_asked_again() -> None:
    answers = iter([ValueError("broken"), True])

    async def ask() -> bool:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return bool(answer)

    check = SharedCheck(ask, Clock())
    with pytest.raises(ValueError, match="broken"):
        await check()
    assert await check()
