"""State of one machine: a SQLite file that all its workers share."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from visavis_proxy.complaints import Complaints
from visavis_proxy.state.names import encode, nonce_digest
from visavis_proxy.state.rate import CLOCK_SLACK_US, bucket_of
from visavis_proxy.state.sqlite_file import TABLES, connect, set_up
from visavis_proxy.state.store import StateUnavailable

_logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: How long a statement waits in the thread for another worker's, and a caller for the thread, its turn included.
_BUSY_S = 2.0
_ANSWER_S = 5.0
_SWEEP_EVERY_S = 5.0
#: Rows of one table that one sweep deletes at once: a few milliseconds, in which nobody else writes.
_SWEEP_ROWS = 1000
#: The log is carried into the file when it is longer than this.
_LOG_BYTES = 4 << 20
#: Daily counts outlive their day in every time zone.
_COUNT_LIFE_S = 3 * 86400

_CLAIM = """
INSERT INTO nonce VALUES (:id, :until)
ON CONFLICT (id) DO UPDATE SET until = excluded.until WHERE until <= :now
RETURNING 1
"""
#: `until` of a bucket: when it is full again. One that a clock set back put out of reach counts as full.
_TAKE = """
INSERT INTO bucket VALUES (:id, :now + :interval)
ON CONFLICT (id) DO UPDATE
SET until = CASE WHEN until > :now + :tolerance + :slack THEN :now ELSE max(until, :now) END + :interval
WHERE until <= :now + :tolerance OR until > :now + :tolerance + :slack
RETURNING 1
"""
_SPEND = """
INSERT INTO daily VALUES (:id, 1, :until)
ON CONFLICT (id) DO UPDATE SET used = used + 1 WHERE used < :quota
RETURNING used
"""
_KEEP = """
INSERT INTO kept VALUES (:id, :value, :until)
ON CONFLICT (id) DO UPDATE SET value = excluded.value, until = excluded.until
"""


class SqliteStore:
    """Every operation is one statement or one transaction, so that it is atomic across workers.

    What a request waits for is a statement or a few that touch the page cache alone. They run where they are
    called, on a connection that never waits: some 20 µs each, a tenth of what a change of thread and back costs.
    A statement that finds another worker writing, and all that waits for the disk (carrying the log into the file,
    deleting what expired), goes to a thread with a connection of its own.

    A crash of the process loses nothing; one of the machine loses the last moments at worst, never the file
    (``synchronous=NORMAL``). The file must lie on a local disk.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open or make the file, mode 0600, in a directory that is made 0700 where there is none.

        Raises:
            StateUnavailable: neither can be had; the text says which file, and why.
        """
        self._clock = clock
        self._log = path.with_name(path.name + "-wal")
        self._sweeper: asyncio.Task[None] | None = None
        #: Whether the log may hold values that were deleted; what an earlier run left there is not known.
        self._deleted_in_log = True
        try:
            set_up(path)
            self._quick = connect(path, busy_s=0.0)
            self._patient = connect(path, busy_s=_BUSY_S)
        except (OSError, sqlite3.Error) as error:
            raise StateUnavailable(f"cannot keep state in {path}: {error}") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="visavis-state")

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        """See StateStore."""
        now = self._now_us()
        parameters = {"id": nonce_digest(space, nonce), "now": now, "until": now + round(ttl_s * 1e6)}
        return await self._do(partial(_one, _CLAIM, parameters)) is not None

    async def take(self, bucket: str, per_second: float) -> bool:
        """See StateStore."""
        interval_us, tolerance_us = bucket_of(per_second)
        parameters = {
            "id": encode(bucket),
            "now": self._now_us(),
            "interval": interval_us,
            "tolerance": tolerance_us,
            "slack": interval_us + CLOCK_SLACK_US,
        }
        return await self._do(partial(_one, _TAKE, parameters)) is not None

    async def spend(self, counter: str, quota: int, *, day: str) -> int | None:
        """See StateStore."""
        if quota <= 0:
            return None
        until = self._now_us() + _COUNT_LIFE_S * 1_000_000
        row = await self._do(partial(_one, _SPEND, {"id": _daily_id(counter, day), "until": until, "quota": quota}))
        return None if row is None else quota - int(row[0])

    async def remaining(self, counter: str, quota: int, *, day: str) -> int:
        """See StateStore."""
        query = "SELECT used FROM daily WHERE id = :id"
        row = await self._do(partial(_one, query, {"id": _daily_id(counter, day)}))
        return max(0, quota - int(row[0] if row else 0))

    async def keep(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """See StateStore."""
        until = self._now_us() + round(ttl_s * 1e6)
        rows = [{"id": encode(key), "value": value, "until": until} for key, value in values.items()]
        await self._do(partial(_keep, rows))

    async def recall(self, keys: list[str]) -> list[bytes | None]:
        """See StateStore."""
        return await self._do(partial(_recall, [encode(key) for key in keys], self._now_us()))

    async def purge(self, *, expired_only: bool) -> int:
        """See StateStore."""
        return await self._in_thread(partial(_purge, self._now_us() if expired_only else None))

    async def start(self) -> None:
        """See StateStore."""
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_forever())

    async def close(self) -> None:
        """See StateStore."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._quick.close()
        with suppress(RuntimeError):  # closed before
            await asyncio.wrap_future(self._thread.submit(self._patient.close))
        self._thread.shutdown(wait=False)

    async def _do(self, operation: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return operation(self._quick)
        except sqlite3.Error as error:
            if not _is_busy(error):
                raise StateUnavailable(f"the state's file: {error}") from error
        return await self._in_thread(operation)

    async def _in_thread(self, operation: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, operation, self._patient)
        except TimeoutError as error:
            raise StateUnavailable("the state's file does not answer") from error
        except (sqlite3.Error, RuntimeError) as error:  # RuntimeError: the thread is closed
            raise StateUnavailable(f"the state's file: {error}") from error

    async def _sweep_forever(self) -> None:
        """Delete what expired, in slices between which others have their turn."""
        complaints = Complaints(_logger)
        while True:
            try:
                for table in TABLES:
                    await self._sweep_table(table)
                await self._in_thread(self._shorten_log)
            except StateUnavailable:
                pass  # said to the next caller
            except Exception as error:
                # The file system's, most likely. Nobody would see the sweep end, and templates would stay for ever.
                # It is given no word of a caller's, so that none is in the error's text.
                complaints.tell(error)
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def _sweep_table(self, table: str) -> None:
        gone = _SWEEP_ROWS
        while gone == _SWEEP_ROWS:
            gone = await self._in_thread(partial(_sweep, table, self._now_us()))
            self._deleted_in_log |= table == "kept" and gone > 0

    def _shorten_log(self, database: sqlite3.Connection) -> None:
        with suppress(FileNotFoundError):
            if self._deleted_in_log or self._log.stat().st_size > _LOG_BYTES:
                # A reader or writer in its way is rare: the next sweep tries again.
                self._deleted_in_log = not _empty_log(database)

    def _now_us(self) -> int:
        return round(self._clock() * 1e6)


def _one(statement: str, parameters: Mapping[str, object], database: sqlite3.Connection) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = database.execute(statement, parameters).fetchone()
    return row


def _keep(rows: list[dict[str, object]], database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        database.executemany(_KEEP, rows)
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            database.execute("ROLLBACK")
        raise


def _recall(ids: list[bytes], now_us: int, database: sqlite3.Connection) -> list[bytes | None]:
    query = "SELECT value FROM kept WHERE id = :id AND until > :now"
    rows = [_one(query, {"id": each, "now": now_us}, database) for each in ids]
    return [None if row is None else row[0] for row in rows]


def _purge(expired_by_us: int | None, database: sqlite3.Connection) -> int:
    if expired_by_us is None:
        gone = database.execute("DELETE FROM kept").rowcount
    else:
        gone = database.execute("DELETE FROM kept WHERE until <= ?", (expired_by_us,)).rowcount
    # What is deleted is overwritten in the file (secure_delete); this does the same to the log.
    _empty_log(database)
    return gone


def _empty_log(database: sqlite3.Connection) -> bool:
    """Carry the log into the file and cut it to nothing; False where somebody was in the way."""
    (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _sweep(table: str, now_us: int, database: sqlite3.Connection) -> int:
    """Delete a slice of expired rows; how many went."""
    expired = f"SELECT id FROM {table} WHERE until <= ? LIMIT {_SWEEP_ROWS}"  # noqa: S608 (names of ours)
    return database.execute(f"DELETE FROM {table} WHERE id IN ({expired})", (now_us,)).rowcount  # noqa: S608


def _is_busy(error: sqlite3.Error) -> bool:
    # The low byte: SQLite tells kinds of busy apart in the rest. Errors of the module itself have no code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _daily_id(counter: str, day: str) -> bytes:
    return encode(f"{day} {counter}")
