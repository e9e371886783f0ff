"""Lines to a file descriptor whose reader may stand still: whoever has one to say never waits for it.

A write to a full pipe lasts until somebody reads, and an event loop that waits for it answers nobody. So a thread
writes what others put into a queue. It does not survive a fork: a process that was forked needs a handler of its own.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Final

#: Lines that wait for a reader at most; some megabytes.
MOST_WAITING: Final = 8192
#: What a process's end waits for a reader.
LAST_WORDS_S: Final = 2.0


@dataclass(slots=True)
class _Gap:
    """Stands in the queue where lines are missing."""

    lines: int = 0


_Queue = SimpleQueue[str | _Gap | threading.Event]


class LineHandler(QueueHandler):
    """Queues finished lines for a file descriptor; those that find it full are dropped and counted.

    Then all are, until half of it is written, so that a slow reader is not told of every single one.
    """

    def __init__(self, fd: int, *, formatter: logging.Formatter) -> None:
        self._lines: _Queue = SimpleQueue()
        super().__init__(self._lines)
        self.setFormatter(formatter)
        self._gap: _Gap | None = None
        self._dropped = 0
        self._writer = _Writer(self._lines, fd, self)
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines so far that nobody will read. Two threads count, each for itself."""
        return self._dropped + self._writer.dropped

    def prepare(self, record: logging.LogRecord) -> str:
        """The line itself: arguments and exceptions may change, or be large, while they wait."""
        return self.format(record)

    def enqueue(self, line: str) -> None:  # type: ignore[override]
        """Put it into the queue, or drop it. The handler's lock is held."""
        if self._lines.qsize() < (MOST_WAITING if self._gap is None else MOST_WAITING // 2):
            self._gap = None
            self._lines.put(line)
            return
        if self._gap is None:
            self._gap = _Gap()
            self._lines.put(self._gap)
        self._gap.lines += 1
        self._dropped += 1

    def flush(self) -> None:
        """Return when all lines so far are written, or two seconds later; logging calls it when the process ends."""
        reached = threading.Event()
        self._lines.put(reached)
        reached.wait(LAST_WORDS_S)

    def telling_of(self, dropped: int) -> str:
        """The line that stands for those that are missing."""
        words = {"msg": "%d lines of the log were dropped: nobody read it", "args": (dropped,)}
        level = {"levelno": logging.WARNING, "levelname": "WARNING"}
        return self.format(logging.makeLogRecord({"name": __name__, **level, **words}))


class _Writer(QueueListener):
    """The thread at the queue's other end; it ends with the process."""

    def __init__(self, lines: _Queue, fd: int, handler: LineHandler) -> None:
        # No handler's lock may be held during a write: logging would wait for it at the process's end. No file object
        # of Python's either, for the interpreter would.
        super().__init__(lines)
        self._fd = fd
        self._handler = handler
        self._untold = 0
        #: Lines that could not be written.
        self.dropped = 0

    def handle(self, item: str | _Gap | threading.Event) -> None:  # type: ignore[override]
        """Write a line, and before it how many are missing."""
        if isinstance(item, threading.Event):
            item.set()
            return
        lines = [item] if isinstance(item, str) else []
        self._untold += item.lines if isinstance(item, _Gap) else 0
        try:
            _write(self._fd, [self._handler.telling_of(self._untold), *lines] if self._untold else lines)
        except OSError:
            # A full disk, or the reader is gone.
            self._untold += len(lines)
            self.dropped += len(lines)
        else:
            self._untold = 0


def say(fd: int, words: str, *, wait_s: float = 0.0) -> None:
    """Write lines for a person; returns after that time at the latest, also where nobody reads, or nobody can."""
    thread = threading.Thread(target=_try_to_write, args=(fd, words), daemon=True)
    thread.start()
    thread.join(wait_s)


def _try_to_write(fd: int, words: str) -> None:
    with suppress(OSError):
        _write(fd, [words])


def _write(fd: int, lines: list[str]) -> None:
    """In one piece where the system takes it so: other processes write there too."""
    rest = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            # Somebody else who has it open made it so.
            select.select((), (fd,), ())
