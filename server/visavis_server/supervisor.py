"""Everything that serves on one machine: Triton below, the proxy's workers on one listening socket above it."""

from __future__ import annotations

import asyncio
import http.client
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from visavis_server.backoff import Backoff
from visavis_server.counting import Counting
from visavis_server.errors import CommandFailed, ModelsUnreadable
from visavis_server.keeper import Keeper
from visavis_server.processes import TritonProcess, WorkerProcess
from visavis_server.state import ServedModels, ServingState, TritonState
from visavis_server.triton import EmbeddedTriton

logger = logging.getLogger(__name__)

_READY_TIMEOUT_S = 120.0
_READY_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be kept up."""

    listener: socket.socket
    #: Where clients of this machine reach the listener.
    url: str
    workers: int
    #: Of the workers: the proxy's settings.
    environment: Mapping[str, str]
    #: Triton's address: ``host:port`` of gRPC, or ``http://host:port``.
    triton: str
    #: Makes the next run of the embedded Triton; None where the Triton is somebody else's.
    make_triton: Callable[[], EmbeddedTriton] | None
    model_repository: Path
    #: What everything was started with.
    models: ServedModels
    #: Files that tell where the service is, while it serves.
    state_files: tuple[Path, ...]


class Supervisor:
    """Keeps a plan up until SIGINT or SIGTERM; SIGHUP has the workers read their keys anew."""

    def __init__(self, plan: Plan, on_ready: Callable[[], None], *, drain_s: float = 0.0) -> None:
        """``on_ready`` is called once, when the service answers; ``drain_s`` is what the workers' settings have."""
        self._plan = plan
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._triton: EmbeddedTriton | None = None
        #: The last run of each.
        self._workers: dict[int, WorkerProcess] = {}
        self._counting = Counting(plan.environment, embedded=plan.make_triton is not None)
        self._stop = asyncio.Event()
        self._announced = False

    async def run(self) -> None:
        """Serve; returns when everything has been stopped in order.

        Raises:
            CommandFailed: it could not be started, or a part of it not again with the same models.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_keys)
        below = self._triton_keepers()
        above = [self._worker_keeper(at) for at in range(self._plan.workers)]
        engine, workers = ([asyncio.create_task(keeper.run()) for keeper in layer] for layer in (below, above))
        stopped = asyncio.create_task(self._stop.wait())
        announced = asyncio.create_task(self._announce([*below, *above]))
        try:
            waiting = {stopped, announced, *engine, *workers}
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if done == {announced} and announced.exception() is None:
                done, _ = await asyncio.wait(waiting - {announced}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._plan.listener.close()
            # Requests in flight need Triton until the last worker is gone.
            for layer in ([stopped, announced], workers, engine):
                await _cancel(layer)
            ServingState.remove(self._plan.state_files)
        for task in done - {stopped}:
            task.result()

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            for worker in self._workers.values():
                worker.terminate()
        self._stop.set()

    def _reload_keys(self) -> None:
        for worker in self._workers.values():
            worker.reload_keys()

    def _triton_keepers(self) -> list[Keeper]:
        make = self._plan.make_triton
        if make is None:
            return []

        def next_run() -> TritonProcess:
            # Triton reads no thresholds.
            self._check_models(lambda models: models.graphs)
            self._triton = make()
            return TritonProcess(self._triton)

        again = partial(self._counting.started_again, "triton")
        return [Keeper("Triton", next_run, backoff=Backoff(), on_up=self._write_state, on_again=again)]

    def _worker_keeper(self, at: int) -> Keeper:
        def next_run() -> WorkerProcess:
            self._check_models(lambda models: models)
            self._counting.make_folder()
            plan = self._plan
            ended = self._counting.ended
            self._workers[at] = WorkerProcess(plan.listener, plan.environment, drain_s=self._drain_s, on_end=ended)
            return self._workers[at]

        again = partial(self._counting.started_again, "worker")
        return Keeper(f"worker {at + 1} of the proxy", next_run, backoff=Backoff(), on_again=again)

    def _check_models(self, read: Callable[[ServedModels], object]) -> None:
        """Raises CommandFailed: of what it is to ``read``, some is other than what runs beside it was started with."""
        plan = self._plan
        try:
            found = ServedModels.of(plan.model_repository)
        except ModelsUnreadable as error:
            # No file left to open, a disk that stumbled: no word of other models.
            logger.error("whether the models were changed cannot be seen: %s", error)
            return
        if read(found) != read(plan.models):
            what = "models" if found.graphs != plan.models.graphs else "thresholds"
            raise CommandFailed(
                f"the {what} in {plan.model_repository} were changed while they were served: start again"
            )

    async def _announce(self, keepers: Sequence[Keeper]) -> None:
        """Wait until the service itself says that it is ready."""
        for keeper in keepers:
            await keeper.was_up.wait()
        deadline = asyncio.get_running_loop().time() + _READY_TIMEOUT_S
        while not await asyncio.to_thread(_says_ready, self._plan.url):
            if asyncio.get_running_loop().time() > deadline:
                raise CommandFailed(
                    f"the service was not ready within {_READY_TIMEOUT_S:.0f} s, Triton at {self._plan.triton}"
                )
            await asyncio.sleep(_READY_POLL_S)
        self._announced = True
        self._write_state()
        self._on_ready()

    def _write_state(self) -> None:
        if not self._announced:
            return
        embedded = self._triton
        if embedded is None:
            triton = TritonState.at(self._plan.triton)
        else:
            triton = TritonState(self._plan.triton, embedded.http_address, embedded.metrics_address, embedded.pid)
        state = ServingState(self._plan.url, triton, models=self._plan.models.graphs)
        try:
            state.write(self._plan.state_files)
        except OSError as error:
            # A full disk; the service itself goes on.
            logger.error("where the service is cannot be written: %s", error)


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _says_ready(url: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
