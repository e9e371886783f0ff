"""The embedded store: one file, shared by workers, that outlives them."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from clocks import Clock
from state_contract import Pass, StateContract

from visavis_proxy.state import StateUnavailable
from visavis_proxy.state import sqlite as module
from visavis_proxy.state.sqlite import SqliteStore

#: Claims the same 300 nonces as every other worker, as fast as it can; prints how many it was given.
WORKER = """
import asyncio, sys
from pathlib import Path
from visavis_proxy.state.sqlite import SqliteStore
async def main():
    store = SqliteStore(Path(sys.argv[1]))
    print(sum([await store.claim_nonce("space", str(n), 60) for n in range(300)]))
    await store.close()
asyncio.run(main())
"""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "state.sqlite3"


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, clock=clock)
    yield opened
    await opened.close()


def in_files(text: bytes, directory: Path) -> bool:
    return any(text in each.read_bytes() for each in directory.iterdir())


async def is_soon_gone(text: bytes, directory: Path) -> bool:
    for _ in range(600):
        if not in_files(text, directory):
            return True
        await asyncio.sleep(0.05)
    return False


async def first_sweep(store: SqliteStore) -> None:
    """It shortens any log."""
    async with asyncio.timeout(30):
        while store._deleted_in_log:  # noqa: ASYNC110 (nobody announces it)
            await asyncio.sleep(0.01)


class TestSqliteStore(StateContract):
    @pytest.fixture
    def pass_time(self, clock: Clock) -> Pass:
        return clock.pass_time


pytestmark = pytest.mark.anyio


async def test_all_is_there_after_a_restart(path: Path, store: SqliteStore) -> None:
    await store.claim_nonce("space", "abc", 600)
    await store.keep({"token": b"sealed"}, 600)
    await store.spend("key", 5, day="2026-11-21")
    assert await store.take("bucket", 0.001)
    clock = store._clock
    await store.close()
    again = SqliteStore(path, clock=clock)
    assert not await again.claim_nonce("space", "abc", 600)
    assert await again.recall(["token"]) == [b"sealed"]
    assert await again.remaining("key", 5, day="2026-11-21") == 4
    assert not await again.take("bucket", 0.001)
    await again.close()


async def test_a_worker_that_is_killed_leaves_what_it_wrote(path: Path) -> None:
    killed = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "from visavis_proxy.state.sqlite import SqliteStore\n"
        "async def main():\n"
        "    await SqliteStore(Path(sys.argv[1])).keep({'token': b'sealed'}, 600)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", killed, path)
    assert await process.wait() == -9
    again = SqliteStore(path)
    assert await again.recall(["token"]) == [b"sealed"]
    await again.close()


async def test_two_stores_of_one_file_are_one(path: Path, clock: Clock, store: SqliteStore) -> None:
    other = SqliteStore(path, clock=clock)
    claims = await asyncio.gather(
        *(each.claim_nonce("space", str(n), 60) for n in range(200) for each in (store, other))
    )
    assert sum(claims) == 200
    await store.keep({"token": b"sealed"}, 60)
    assert await other.recall(["token"]) == [b"sealed"]
    await other.close()


def test_processes_that_make_one_file_at_once_share_it(path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, path], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sum(map(int, outputs)) == 300


async def test_a_statement_that_finds_another_writer_waits_for_it(path: Path, store: SqliteStore) -> None:
    with sqlite3.connect(path, isolation_level=None, check_same_thread=False) as writer:
        writer.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.2, writer.execute, "COMMIT")
        assert await store.claim_nonce("space", "abc", 60)
        await store.keep({"a": b"value"}, 60)
    writer.close()


async def test_a_writer_that_never_ends_makes_the_store_unavailable(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWER_S", 0.2)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnavailable, match="does not answer"):
        await store.claim_nonce("space", "abc", 60)
    writer.execute("ROLLBACK")
    writer.close()


async def test_the_file_and_its_log_are_for_their_owner_alone(path: Path, store: SqliteStore) -> None:
    await store.keep({"token": b"sealed"}, 60)
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert set(modes) == {path.name, path.name + "-wal", path.name + "-shm"}
    assert set(modes.values()) == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_open_to_others_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    asyncio.run(SqliteStore(path).close())
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_sweep_deletes_what_expired_in_all_tables(
    path: Path, clock: Clock, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(module, "_SWEEP_ROWS", 10)
    await store.start()
    for n in range(35):
        await store.claim_nonce("space", str(n), 60)
        await store.keep({str(n): b"sealed"}, 60)
    await store.claim_nonce("space", "long", 1e6)
    await store.take("bucket", 1)
    await store.spend("key", 5, day="2026-11-21")
    await clock.pass_time(4 * 86400)
    with sqlite3.connect(path) as reader:
        for _ in range(600):
            counts = [
                reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("nonce", "kept", "bucket", "daily")
            ]
            if counts == [1, 0, 0, 0]:
                break
            await asyncio.sleep(0.05)
    reader.close()
    assert counts == [1, 0, 0, 0]


async def test_the_sweep_shortens_a_long_log(path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(module, "_LOG_BYTES", 100_000)
    log = path.with_name(path.name + "-wal")
    await store.start()
    await first_sweep(store)
    await store.keep({str(n): bytes(1000) for n in range(500)}, 60)
    assert log.stat().st_size > 100_000
    for _ in range(600):
        if log.stat().st_size <= 100_000:
            break
        await asyncio.sleep(0.05)
    assert log.stat().st_size <= 100_000
    assert await store.recall(["499"]) == [bytes(1000)]


async def test_what_expired_while_nobody_served_is_in_no_file_soon_after_the_start(
    path: Path, clock: Clock, store: SqliteStore
) -> None:
    await store.keep({"token": b"a very biometric template"}, 60)
    await clock.pass_time(61)
    assert in_files(b"very biometric", path.parent)
    again = SqliteStore(path, clock=clock)
    await again.start()
    assert await is_soon_gone(b"very biometric", path.parent)
    await again.close()


async def test_what_the_sweep_deletes_is_not_in_the_log_either(
    path: Path, clock: Clock, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 0.05)
    await store.start()
    await first_sweep(store)
    await store.keep({"token": b"a very biometric template"}, 60)
    await asyncio.sleep(0.1)
    assert in_files(b"very biometric", path.parent)
    await clock.pass_time(61)
    assert await is_soon_gone(b"very biometric", path.parent)


async def test_the_sweep_goes_on_after_an_error_that_nobody_foresaw(
    path: Path, clock: Clock, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that is away for a moment: the log says so, and what expires afterwards is deleted all the same."""
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 0.05)
    await store.start()
    await first_sweep(store)
    away = path.parent.with_name("away")
    path.parent.rename(away)
    path.parent.touch()
    async with asyncio.timeout(30):
        while "NotADirectoryError" not in caplog.text:  # noqa: ASYNC110 (nobody announces it)
            await asyncio.sleep(0.01)
    path.parent.unlink()
    away.rename(path.parent)
    await store.keep({"token": b"a very biometric template"}, 60)
    await clock.pass_time(61)
    assert await is_soon_gone(b"very biometric", path.parent)


async def test_what_is_purged_is_in_no_file_any_more(path: Path, store: SqliteStore) -> None:
    await store.keep({"token": b"a very biometric template"}, 60)
    await store.purge(expired_only=False)
    assert not in_files(b"very biometric", path.parent)


async def test_a_purge_of_the_expired_counts_them(clock: Clock, store: SqliteStore) -> None:
    await store.keep({"a": b"1", "b": b"2"}, 10)
    await store.keep({"c": b"3"}, 100)
    await clock.pass_time(50)
    assert await store.purge(expired_only=True) == 2


async def test_a_clock_that_is_set_back_closes_no_bucket_for_long(clock: Clock, store: SqliteStore) -> None:
    while await store.take("bucket", 2):
        pass
    await clock.pass_time(-86400)
    assert [await store.take("bucket", 2) for _ in range(3)] == [True, True, False]


async def test_a_clock_that_differs_a_little_opens_no_bucket(clock: Clock, store: SqliteStore) -> None:
    while await store.take("bucket", 2):
        pass
    await clock.pass_time(-0.001)
    assert not await store.take("bucket", 2)


async def test_a_closed_store_is_unavailable(store: SqliteStore) -> None:
    await store.close()
    with pytest.raises(StateUnavailable):
        await store.claim_nonce("space", "abc", 60)
    with pytest.raises(StateUnavailable):
        await store.purge(expired_only=True)
    await store.close()


def test_a_file_that_is_not_sqlites_is_told_apart(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else, and long enough to be looked at" * 10)
    with pytest.raises(StateUnavailable, match="not a database"):
        SqliteStore(path)


def test_a_file_of_another_version_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StateUnavailable, match="version 99"):
        SqliteStore(path)


def test_a_place_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable, match="cannot keep state in"):
        SqliteStore(tmp_path / "file" / "state.sqlite3")
