"""The cluster's store, on a real redis-server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import redis
from pydantic import SecretStr
from redis_server import BINARY, RedisServer
from state_contract import Pass, StateContract

from visavis_client.faces import ModelIdentity, Template
from visavis_proxy.face_tokens import open_face_tokens, purge_tokens
from visavis_proxy.sealing import new_key
from visavis_proxy.settings import Settings, StateSettings
from visavis_proxy.state import StateUnavailable, open_store
from visavis_proxy.state.redis import RedisStore

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(BINARY is None, reason="needs redis-server (apt-get install redis-server)"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    with redis.Redis.from_url(running.url) as emptying:
        emptying.flushall()
    return running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    opened = RedisStore(server.url)
    yield opened
    await opened.close()


class TestRedisStore(StateContract):
    @pytest.fixture
    def pass_time(self) -> Pass:
        return asyncio.sleep


async def test_two_stores_of_one_server_are_one(server: RedisServer, store: RedisStore) -> None:
    other = RedisStore(server.url)
    claims = await asyncio.gather(
        *(each.claim_nonce("space", str(n), 60) for n in range(100) for each in (store, other))
    )
    assert sum(claims) == 100
    await store.keep({"token": b"sealed"}, 60)
    assert await other.recall(["token"]) == [b"sealed"]
    await other.close()


async def test_nothing_stays_for_ever(server: RedisServer, store: RedisStore) -> None:
    await store.claim_nonce("space", "abc", 60)
    await store.take("bucket", 0.1)
    await store.spend("key", 5, day="2026-11-21")
    await store.spend("key", 5, day="2026-11-21")
    await store.keep({"token": b"sealed"}, 60)
    with redis.Redis.from_url(server.url) as looking:
        lives = {name: looking.ttl(name) for name in looking.keys("*")}
    assert len(lives) == 4
    assert all(0 < life <= 3 * 86400 for life in lives.values())


async def test_a_face_token_made_on_one_machine_works_on_another(server: RedisServer, tmp_path: Path) -> None:
    model = ModelIdentity("opencv-000000000000")
    template = Template.from_embedding(np.array([1, 2, 2], np.float32), model)
    shared = StateSettings(url=SecretStr(server.url), encryption_key=SecretStr(new_key()))
    machines = [Settings(state=shared, data_dir=tmp_path / name) for name in ("one", "other")]
    stores = [open_store(machine) for machine in machines]
    one, other = (open_face_tokens(*pair, model) for pair in zip(machines, stores, strict=True))
    (token,) = await one.issue("key", [template])
    found = await other.find("key", token)
    assert found is not None
    assert found.vector.tolist() == template.vector.tolist()
    assert await purge_tokens(machines[0], expired_only=False) == 1
    assert await other.find("key", token) is None
    for store in stores:
        await store.close()


async def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    store = RedisStore(server.url)
    try:
        assert await store.claim_nonce("space", "abc", 60)
        assert await store.take("bucket", 5)
        server.stop()
        for operation in (
            store.claim_nonce("space", "def", 60),
            store.take("bucket", 5),
            store.spend("key", 5, day="2026-11-21"),
            store.remaining("key", 5, day="2026-11-21"),
            store.keep({"a": b"value"}, 60),
            store.recall(["a"]),
            store.purge(expired_only=False),
        ):
            with pytest.raises(StateUnavailable):
                await operation
        server.start()
        assert await store.claim_nonce("space", "ghi", 60)
        assert await store.take("bucket", 5)
    finally:
        await store.close()
        server.stop()


async def test_a_server_that_hangs_is_waited_for_once(tmp_path: Path) -> None:
    """However many callers share the connections, each learns within the limit that there is no answer."""
    server = RedisServer(tmp_path)
    server.start()
    store = RedisStore(server.url)
    try:
        assert await store.take("bucket", 5)
        with server.hanging():
            begun = time.monotonic()
            outcomes = await asyncio.gather(
                *(store.claim_nonce("space", str(n), 60) for n in range(320)), return_exceptions=True
            )
            # Three seconds, and what the machine takes; in turns of sixteen it would be twenty.
            assert time.monotonic() - begun < 10
        assert {type(outcome) for outcome in outcomes} == {StateUnavailable}
        assert await store.claim_nonce("space", "new", 60)
    finally:
        await store.close()
        server.stop()


async def test_a_refused_password_is_told_and_not_shown(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, password="right")
    server.start()
    try:
        wrong = server.url.replace("right", "wrong-and-secret")
        with pytest.raises(StateUnavailable, match="does not answer") as refusal:
            open_store(Settings(state=StateSettings(url=SecretStr(wrong)), data_dir=tmp_path))
        assert "secret" not in str(refusal.value)
        good = open_store(Settings(state=StateSettings(url=SecretStr(server.url)), data_dir=tmp_path))
        assert await good.claim_nonce("space", "abc", 60)
        await good.close()
    finally:
        server.stop()
