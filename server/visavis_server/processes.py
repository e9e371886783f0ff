"""The two kinds of processes that the supervisor keeps: Triton, and the proxy's workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping

from visavis_server.errors import CommandFailed
from visavis_server.own_programs import module_command
from visavis_server.stubs import Watch, waits_for_a_device
from visavis_server.triton import EmbeddedTriton

_WATCH_S = 0.5
#: So many times in a row must Triton fail to say that it is live before it is replaced, which is sooner than a request
#: gives up: those that it holds are then told to come again.
_MISSES = 3
_WORKER_START_S = 60.0
#: A worker's event loop gives a sign of life every second. So many times in a row none may come within two: counted,
#: not timed, so that a machine that slept kills nobody when it wakes.
_SIGN_S = 2.0
_SIGNS_MISSED = 5
#: Longer than any contract lets a request take.
_GRACE_S = 15


class TritonProcess:
    """One run of the embedded Triton."""

    def __init__(self, triton: EmbeddedTriton) -> None:
        self._triton = triton

    async def start(self) -> None:
        """Returns when every model is loaded and warm."""
        try:
            await asyncio.to_thread(self._triton.start)
            await asyncio.to_thread(self._triton.wait_ready)
        except OSError as error:
            # As below: no file left to look for its parts, or to read its last words from.
            raise CommandFailed(f"Triton could not be started: {error}") from error

    async def ended(self) -> str:
        """Watches the process, the models' own processes, and its health; what is left of it then is killed."""
        watches = [asyncio.create_task(watch) for watch in (self._until_a_fault(), self._until_silent())]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            # Asked to stop, it would wait for what does not answer.
            self._triton.kill()
            return done.pop().result()
        finally:
            for watch in watches:
                watch.cancel()

    async def _until_a_fault(self) -> str:
        watch: Watch | None = None
        while not self._triton.ended():
            # A look that fails says nothing of Triton.
            with contextlib.suppress(OSError):
                watch = watch or Watch(self._triton.pid)
            if watch is not None and (fault := watch.fault()) is not None:
                return fault
            await asyncio.sleep(_WATCH_S)
        return "it ended"

    async def _until_silent(self) -> str:
        misses = 0
        while misses < _MISSES:
            await asyncio.sleep(_WATCH_S)
            misses = 0 if await asyncio.to_thread(self._triton.healthy, "live") else misses + 1
        return "it is no longer live"

    async def stop(self) -> None:
        """Returns when neither it nor anything it started is left."""
        await asyncio.to_thread(self._triton.stop)


async def _says_up(words: asyncio.StreamReader) -> bool:
    """Whether a worker's line comes before its end; a library may have printed another one first."""
    async for line in words:
        if line == b"up\n":
            return True
    return False


class WorkerProcess:
    """One run of a worker of the proxy."""

    def __init__(
        self,
        listener: socket.socket,
        environment: Mapping[str, str],
        *,
        drain_s: float,
        on_end: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``drain_s``: how long it still accepts after it was told to stop; the environment tells it the same.

        ``on_end`` is given its process id when it is gone.
        """
        self._listener = listener
        self._environment = environment
        self._drain_s = drain_s
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._is_up = False
        self._has_old_keys = False

    async def start(self) -> None:
        """Returns when it accepts connections."""
        try:
            self._process = await self._spawn()
        except OSError as error:
            # No memory, process or file to be had at the moment: the other workers, and Triton, serve on.
            raise CommandFailed(f"a worker of the proxy could not be started: {error}") from error
        assert self._process.stdout is not None  # noqa: S101 (it was asked for)
        try:
            is_up = await asyncio.wait_for(_says_up(self._process.stdout), _WORKER_START_S)
        except TimeoutError:
            is_up = False
        if not is_up:
            raise CommandFailed("a worker of the proxy could not start; its own words stand above")
        self._is_up = True
        if self._has_old_keys:
            self.reload_keys()

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *module_command("visavis_server.worker"),
            *("--socket-fd", str(self._listener.fileno()), "--parent", str(os.getpid())),
            *("--grace-s", str(_GRACE_S)),
            env=dict(self._environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
            # Ctrl-C is the supervisor's to hear.
            start_new_session=True,
        )

    async def ended(self) -> str:
        """Waits for its end, which a worker that gives no sign of life is put to."""
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 (it was started)
        missed = 0
        while missed < _SIGNS_MISSED:
            try:
                if not await asyncio.wait_for(self._process.stdout.read(64), _SIGN_S):
                    return f"it ended with status {await self._process.wait()}"
                missed = 0
            except TimeoutError:
                # The others wait for that disk as well, and a new one would.
                if not waits_for_a_device(self._process.pid):
                    missed += 1
        self._process.kill()
        return f"it gave no sign of life for {_SIGNS_MISSED * _SIGN_S:.0f} s"

    def reload_keys(self) -> None:
        """Have it read its keys anew; one that is starting, and may have read them already, as soon as it can hear."""
        self._has_old_keys = not self._is_up
        if self._is_up:
            self._send(signal.SIGHUP)

    def terminate(self) -> None:
        """Have it stop; told a second time, it does not wait for load balancers any more."""
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self) -> None:
        """Requests in flight are finished, unless they take longer than any contract lets them."""
        if self._process is None:
            return
        self.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), self._drain_s + _GRACE_S + 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._on_end(self._process.pid)
