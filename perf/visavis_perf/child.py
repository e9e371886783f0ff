"""Processes of the bare work: each holds an object, whose methods the bench calls."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from visavis_server import tuning


class LimitFailed(Exception):
    """Bare work did not come to its end; the text says which."""


@contextmanager
def tuned() -> Iterator[None]:
    """For processes that start within: memory is kept, in huge pages, as in the Triton that they are compared with."""
    before = dict(os.environ)
    os.environ.update(tuning.ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Child:
    """A process with an object, whose methods are called over a pipe; between calls it waits without any work."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        """Start it with the memory of a served model; ``make`` gives the object there."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve_calls, args=(theirs, make, arguments), daemon=True)
        with tuned():
            self.process.start()
        theirs.close()

    def send(self, method: str, *arguments: Any) -> None:
        """Call; the answer is received later."""
        # A process that has ended is found out by the answer that does not come.
        with contextlib.suppress(ConnectionError):
            self._pipe.send((method, arguments))

    def receive(self, timeout_s: float) -> Any:
        """What the method gave; before any call, None once the object is there.

        Raises:
            LimitFailed: the process ended, hangs, or the object or method failed.
        """
        try:
            if not self._pipe.poll(timeout_s):
                raise LimitFailed("the bare work gave no answer in time")
            fault, answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise LimitFailed("the process of the bare work ended; its error stands above") from None
        if fault is not None:
            raise LimitFailed(fault)
        return answer

    def close(self) -> None:
        """End it."""
        self._pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()


def _serve_calls(pipe: Connection, make: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """A process's life: it ends with the bench, whose interrupt from the keyboard is not its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    served: Any = None
    call: Callable[..., Any] = make
    while True:
        fault, answer = None, None
        try:
            answer = call(*arguments)
        except Exception as error:  # whatever it is, the bench is told
            fault = " ".join(f"{type(error).__name__}: {error}".split())
        if served is None:
            served, answer = answer, None
        try:
            pipe.send((fault, answer))
            if served is None:
                return
            method, arguments = pipe.recv()
        except (EOFError, ConnectionError):
            return
        call = getattr(served, method)
