"""What every StateStore promises, as tests that each implementation inherits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from visavis_proxy.state import StateStore

#: Lets so many seconds pass for a store: a clock that is put forward, or a sleep.
Pass = Callable[[float], Awaitable[None]]

#: Short enough to be slept through, long enough for a slow machine.
SHORT_S = 0.4

#: Of which one must do as it should: where time is not a test's to stop, they refill while the machine stands still.
BUCKETS = ("one", "another", "a third")


@pytest.mark.anyio
class StateContract:
    """Subclasses give fixtures `store` and `pass_time`."""

    async def test_a_nonce_is_claimed_once(self, store: StateStore) -> None:
        assert await store.claim_nonce("aliyun/key", "abc", 60)
        assert not await store.claim_nonce("aliyun/key", "abc", 60)

    async def test_a_nonce_of_one_space_is_free_in_another(self, store: StateStore) -> None:
        assert await store.claim_nonce("aliyun/key", "abc", 60)
        assert await store.claim_nonce("aliyun/other", "abc", 60)

    async def test_space_and_nonce_do_not_run_into_one_another(self, store: StateStore) -> None:
        assert await store.claim_nonce("ab", "c", 60)
        assert await store.claim_nonce("a", "bc", 60)

    async def test_a_nonce_is_free_again_after_its_time(self, store: StateStore, pass_time: Pass) -> None:
        assert await store.claim_nonce("space", "abc", SHORT_S)
        await pass_time(SHORT_S + 0.1)
        assert await store.claim_nonce("space", "abc", 60)
        assert not await store.claim_nonce("space", "abc", 60)

    async def test_of_200_claims_of_one_nonce_at_once_one_is_true(self, store: StateStore) -> None:
        claims = await asyncio.gather(*(store.claim_nonce("space", "abc", 60) for _ in range(200)))
        assert sum(claims) == 1

    @pytest.mark.parametrize("nonce", ["", "\x00", "\ud800", "ü" * 5000, "a b\r\nSET x"])
    async def test_any_string_is_a_nonce(self, store: StateStore, nonce: str) -> None:
        assert await store.claim_nonce("space", nonce, 60)
        assert not await store.claim_nonce("space", nonce, 60)

    async def test_a_bucket_holds_a_second_of_its_rate(self, store: StateStore) -> None:
        # One request an hour refills too slowly to matter here.
        assert [await store.take("slow", 1 / 3600) for _ in range(3)] == [True, False, False]
        assert [True, True, False] in [[await store.take(bucket, 2) for _ in range(3)] for bucket in BUCKETS]

    async def test_a_bucket_refills_at_its_rate(self, store: StateStore, pass_time: Pass) -> None:
        refilled = dict.fromkeys(BUCKETS, 0)
        for bucket in BUCKETS:
            while await store.take(bucket, 5):
                pass
            await pass_time(0.45)
            while await store.take(bucket, 5):
                refilled[bucket] += 1
        assert {2, 3, 4}.intersection(refilled.values())  # a store that sleeps may sleep longer
        assert min(refilled.values()) >= 2

    async def test_a_bucket_never_holds_more_than_its_size(self, store: StateStore, pass_time: Pass) -> None:
        for bucket in BUCKETS:
            assert await store.take(bucket, 2)
        await pass_time(2.1)
        assert [True, True, False] in [[await store.take(bucket, 2) for _ in range(3)] for bucket in BUCKETS]

    async def test_a_refusal_takes_nothing(self, store: StateStore, pass_time: Pass) -> None:
        while await store.take("bucket", 2):
            pass
        for _ in range(20):
            await store.take("bucket", 2)
        await pass_time(0.55)
        assert await store.take("bucket", 2)

    async def test_buckets_are_apart(self, store: StateStore) -> None:
        while await store.take("one", 0.5):
            pass
        assert await store.take("other", 0.5)

    async def test_of_50_requests_at_once_a_bucket_lets_through_what_it_holds(self, store: StateStore) -> None:
        # 0.01 a second hold one request; the second comes after 100 s.
        taken = await asyncio.gather(*(store.take("bucket", 0.01) for _ in range(50)))
        assert sum(taken) == 1

    async def test_a_quota_is_spent_to_its_end_and_not_beyond(self, store: StateStore) -> None:
        assert await store.remaining("key", 3, day="2026-11-21") == 3
        left = [await store.spend("key", 3, day="2026-11-21") for _ in range(5)]
        assert left == [2, 1, 0, None, None]
        assert await store.remaining("key", 3, day="2026-11-21") == 0

    async def test_days_and_counters_are_apart(self, store: StateStore) -> None:
        assert await store.spend("key", 1, day="2026-11-21") == 0
        assert await store.spend("key", 1, day="2026-11-22") == 0
        assert await store.spend("other", 1, day="2026-11-21") == 0
        assert await store.spend("key", 1, day="2026-11-21") is None

    async def test_a_quota_of_nothing_lets_nothing_through(self, store: StateStore) -> None:
        assert await store.spend("key", 0, day="2026-11-21") is None
        assert await store.spend("key", 1, day="2026-11-21") == 0

    async def test_a_quota_that_shrinks_below_what_is_used_leaves_nothing(self, store: StateStore) -> None:
        for _ in range(3):
            await store.spend("key", 5, day="2026-11-21")
        assert await store.remaining("key", 2, day="2026-11-21") == 0
        assert await store.spend("key", 2, day="2026-11-21") is None

    async def test_of_100_calls_at_once_as_many_pass_as_the_quota_holds(self, store: StateStore) -> None:
        left = await asyncio.gather(*(store.spend("key", 30, day="2026-11-21") for _ in range(100)))
        passed = [each for each in left if each is not None]
        assert sorted(passed) == list(range(30))

    async def test_what_is_kept_comes_back_byte_for_byte_in_order(self, store: StateStore) -> None:
        every_byte = bytes(range(256))
        await store.keep({"a": b"", "b": every_byte}, 60)
        assert await store.recall(["b", "unknown", "a"]) == [every_byte, None, b""]
        assert await store.recall([]) == []

    async def test_what_is_kept_again_is_replaced(self, store: StateStore) -> None:
        await store.keep({"a": b"old"}, 60)
        await store.keep({"a": b"new"}, 60)
        assert await store.recall(["a"]) == [b"new"]

    async def test_what_is_kept_is_gone_after_its_time(self, store: StateStore, pass_time: Pass) -> None:
        await store.keep({"a": b"short"}, SHORT_S)
        await store.keep({"b": b"long"}, 60)
        await pass_time(SHORT_S + 0.1)
        assert await store.recall(["a", "b"]) == [None, b"long"]

    async def test_a_purge_of_the_expired_leaves_the_rest(self, store: StateStore, pass_time: Pass) -> None:
        await store.keep({"a": b"short"}, SHORT_S)
        await store.keep({"b": b"long"}, 60)
        await pass_time(SHORT_S + 0.1)
        assert await store.purge(expired_only=True) <= 1  # a store may forget by itself
        assert await store.recall(["b"]) == [b"long"]

    async def test_a_purge_deletes_what_is_kept_and_nothing_else(self, store: StateStore) -> None:
        await store.keep({f"key {n}": b"value" for n in range(1200)}, 60)
        await store.claim_nonce("space", "abc", 60)
        await store.spend("key", 5, day="2026-11-21")
        assert await store.take("bucket", 0.01)
        assert await store.purge(expired_only=False) == 1200
        assert await store.purge(expired_only=False) == 0
        assert await store.recall(["key 7"]) == [None]
        assert not await store.claim_nonce("space", "abc", 60)
        assert await store.remaining("key", 5, day="2026-11-21") == 4
        assert not await store.take("bucket", 0.01)
