"""The SQLite file: its place, its mode, its tables."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

#: Of the tables below; a file of another version is not touched.
_VERSION = 1

#: Times are microseconds since the epoch. Each row may go when its `until` has passed.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE nonce (id BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE bucket (id BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE daily (id BLOB PRIMARY KEY, used INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE kept (id BLOB PRIMARY KEY, value BLOB NOT NULL, until INTEGER NOT NULL);
CREATE INDEX nonce_until ON nonce (until);
CREATE INDEX kept_until ON kept (until);
PRAGMA user_version = {_VERSION};
COMMIT;
"""
TABLES = ("nonce", "bucket", "daily", "kept")


def set_up(path: Path) -> None:
    """Make the file where there is none: mode 0600, in a directory of mode 0700 where there is none either.

    Raises:
        OSError: it cannot be made.
        sqlite3.Error: it is not SQLite's, of another version, or its disk is at fault.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone_in(path.parent):
        _make_private(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            _make_tables(database)


def connect(path: Path, *, busy_s: float) -> sqlite3.Connection:
    """A connection of which each statement waits so long for another worker's; each is a transaction by itself."""
    # Whoever opens the store may run another thread than the event loop's; it is used by one at a time.
    database = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA secure_delete = ON").fetchone()
    # Carrying the log into the file waits for the disk: the store does it at a time of its own choice.
    database.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
    return database


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """One worker at a time sets the file up: SQLite's own locks do not cover the change to WAL."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    # Never opened where it exists: closing it again would drop the locks that SQLite holds in this process.
    if path.exists():
        path.chmod(0o600)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _make_tables(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.executescript(_SCHEMA)
    elif version != _VERSION:
        raise sqlite3.DatabaseError(f"it is of version {version}, not {_VERSION}: move it away")
