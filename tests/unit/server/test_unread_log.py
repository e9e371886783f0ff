"""Whoever reads the log may stand still: nobody who has a line to say waits for it, and what is lost is told."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from lone_worker import lone_settings

from visavis_server.http_protocol import MAX_WAITING
from visavis_server.line_writing import MOST_WAITING, LineHandler, say

#: Of a process that need not wait, on a machine that has much to do.
SOON_S = 60.0
TOLD = re.compile(r"(?:WARNING visavis_server\.line_writing: )?(\d+) lines of the log were dropped: nobody read it$")


@dataclass
class Pipe:
    """Of one page, which a few lines fill."""

    reader: int
    writer: int

    def fill(self) -> None:
        os.set_blocking(self.writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"\n")
        os.set_blocking(self.writer, True)

    def read_on(self) -> list[str]:
        """All that comes until nobody writes any more."""
        os.close(self.writer)
        # Its number may be another file's from now on.
        self.writer = -1
        with open(self.reader, encoding="utf-8", closefd=False) as text:
            return [line for line in text.read().splitlines() if line]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe(*os.pipe())
    fcntl.fcntl(made.writer, fcntl.F_SETPIPE_SZ, 4096)
    yield made
    for end in (made.reader, made.writer):
        with suppress(OSError):
            os.close(end)


@contextmanager
def worker(home: Path, standard_error: int) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A real one, and a connection to it."""
    program = [sys.executable, "-m", "visavis_server.worker", "--parent", str(os.getpid()), "--grace-s", "5"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [*program, "--socket-fd", str(listener.fileno())],
            env={**os.environ, **lone_settings(home)},
            stdout=subprocess.PIPE,
            stderr=standard_error,
            pass_fds=[listener.fileno()],
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            with socket.create_connection(listener.getsockname(), timeout=SOON_S) as connection:
                yield process, connection
        finally:
            process.kill()
            process.communicate()


def ask(connection: socket.socket, times: int) -> None:
    """So many questions, each of which is answered."""
    with connection.makefile("rb") as answers:
        for _ in range(times // MAX_WAITING):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * MAX_WAITING)
            for _ in range(MAX_WAITING):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                head = iter(answers.readline, b"\r\n")
                (length,) = (int(line.split()[1]) for line in head if line.lower().startswith(b"content-length:"))
                answers.read(length)


def dropped_so_far(connection: socket.socket) -> int:
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    (count,) = re.findall(r"^visavis_log_lines_dropped_total (\S+)$", text, re.MULTILINE)
    return int(float(count))


def test_a_worker_answers_while_nobody_reads_its_log_and_tells_afterwards_what_was_lost(
    tmp_path: Path, pipe: Pipe
) -> None:
    """Every request has its line, or is among the number in the line that stands for those dropped."""
    requests = MOST_WAITING + 1600
    with worker(tmp_path, pipe.writer) as (process, connection):
        ask(connection, requests)
        # The worker shows the number each second.
        time.sleep(3)
        dropped = dropped_so_far(connection)
        assert 0 < dropped < requests
        # Megabytes are to be read within the time that its end has for them.
        fcntl.fcntl(pipe.reader, fcntl.F_SETPIPE_SZ, 1 << 20)
        process.send_signal(signal.SIGTERM)
        lines = pipe.read_on()
        process.wait(SOON_S)
    assert len([line for line in lines if '"path": "/health/live"' in line]) == requests - dropped
    told = [int(found[1]) for line in lines if (found := TOLD.search(line))]
    # The question for the numbers was one request more.
    assert sum(told) - dropped == 1 - len([line for line in lines if '"path": "/metrics"' in line])


def test_a_worker_ends_while_nobody_reads_its_log(tmp_path: Path, pipe: Pipe) -> None:
    """It waits for the reader, but not for long."""
    with worker(tmp_path, pipe.writer) as (process, connection):
        ask(connection, 400)
        process.send_signal(signal.SIGTERM)
        process.wait(SOON_S)


@pytest.fixture
def handler(pipe: Pipe) -> Iterator[LineHandler]:
    made = LineHandler(pipe.writer, formatter=logging.Formatter())
    yield made
    made.close()


def log(handler: LineHandler, *lines: object) -> None:
    for line in lines:
        handler.handle(logging.makeLogRecord({"msg": str(line)}))


def test_lines_are_written_in_order_and_every_gap_tells_its_length(pipe: Pipe, handler: LineHandler) -> None:
    """However the reader comes and goes."""
    log(handler, *map(long, range(2 * MOST_WAITING)))
    assert handler.dropped > MOST_WAITING // 2
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(_lines_until(pipe.reader, "the end")), daemon=True)
    reader.start()
    wait_until_written(handler)
    log(handler, *map(long, range(2 * MOST_WAITING, 3 * MOST_WAITING)))
    wait_until_written(handler)
    log(handler, "the end")
    reader.join(SOON_S)
    at = told = 0
    for line in read:
        found = TOLD.match(line)
        assert found or line == long(at)
        at += int(found[1]) if found else 1
        told += int(found[1]) if found else 0
    assert (at, told) == (3 * MOST_WAITING, handler.dropped)


def long(number: int) -> str:
    """A line of which a pipe of a large page, too, takes only some hundreds."""
    return f"{number:0200}"


def wait_until_written(handler: LineHandler) -> None:
    assert isinstance(handler.queue, SimpleQueue)
    deadline = time.monotonic() + SOON_S
    while not handler.queue.empty():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lines_until(fd: int, last: str) -> list[str]:
    with open(fd, encoding="utf-8", closefd=False) as text:
        return [line.rstrip("\n") for line in iter(text.readline, f"{last}\n")]


def test_lines_that_cannot_be_written_are_told_once_they_can(tmp_path: Path) -> None:
    """A disk was full, and is not any more."""
    disk = os.open("/dev/full", os.O_WRONLY)
    handler = LineHandler(disk, formatter=logging.Formatter())
    log(handler, 1, 2, 3)
    handler.flush()
    assert handler.dropped == 3
    with (tmp_path / "log").open("wb") as other:
        os.dup2(other.fileno(), disk)
    log(handler, 4, 5)
    handler.flush()
    told, *rest = (tmp_path / "log").read_text().splitlines()
    found = TOLD.match(told)
    assert found is not None
    assert (int(found[1]), rest) == (3, ["4", "5"])
    handler.close()
    os.close(disk)


def test_a_descriptor_that_does_not_block_loses_nothing(pipe: Pipe, handler: LineHandler) -> None:
    """As a terminal's may be, which other programs have open."""
    os.set_blocking(pipe.writer, False)
    log(handler, *range(3000))
    log(handler, "the end")
    assert _lines_until(pipe.reader, "the end") == [str(number) for number in range(3000)]


def test_a_process_that_nobody_reads_ends(pipe: Pipe) -> None:
    """With status 0, and the lines that found room."""
    program = (
        "import logging\nfrom visavis_server.logs import configure_logs\nconfigure_logs('json', logging.INFO)\n"
        "for number in range(20000): logging.getLogger('x').info('line %d', number)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=pipe.writer) as process:
        assert process.wait(SOON_S) == 0
    assert '"message": "line 0"' in pipe.read_on()[0]


def test_a_command_that_fails_ends_though_nobody_reads_why(pipe: Pipe, tmp_path: Path) -> None:
    """Whoever started a service sees its status, and starts it again."""
    pipe.fill()
    with subprocess.Popen(
        [sys.executable, "-m", "visavis_server", "serve", "--data-dir", str(tmp_path)],
        env={**os.environ, "VISAVIS_TRITON": "nowhere"},
        stderr=pipe.writer,
    ) as process:
        assert process.wait(SOON_S) == 1


def test_what_is_said_to_a_person_holds_nobody_up(pipe: Pipe) -> None:
    """It is written when there is somebody who reads, and until then nobody waits longer than told."""
    pipe.fill()
    begun = time.monotonic()
    say(pipe.writer, "ready")
    say(pipe.writer, "over", wait_s=0.1)
    assert time.monotonic() - begun < SOON_S / 2
    assert {line for line in _lines_until(pipe.reader, "over") if line} <= {"ready"}
