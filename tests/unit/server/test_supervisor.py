"""A service does not outlive its models: nothing of it is started again on others than the rest was started with."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from visavis_proxy.restarts import read_restarts
from visavis_server.errors import CommandFailed
from visavis_server.key_file import ensure_key_file
from visavis_server.ports import free_loopback_ports
from visavis_server.serve import listen, local_url
from visavis_server.state import ServedModels
from visavis_server.supervisor import Plan, Supervisor
from visavis_server.triton import EmbeddedTriton


class DyingTriton(EmbeddedTriton):
    """Comes up at once, and ends as soon as somebody looks, after it has done what it was told."""

    def __init__(self, before_the_end: Callable[[], object]) -> None:
        self._before_the_end = before_the_end
        self.pid = 0

    def start(self) -> None:
        pass

    def wait_ready(self) -> None:
        pass

    def ended(self) -> bool:
        self._before_the_end()
        return True

    def stop(self) -> None:
        pass


def write_models(repository: Path, identity: str, *, strictness: float = 1) -> None:
    models = {"identity": identity, "detector": {"sha256": "one"}}
    points = [{"false_match_rate": rate, "threshold": -rate * strictness} for rate in (0.1, 0.01)]
    (repository / "operating_points.json").write_text(json.dumps({"models": models, "operating_points": points}))
    (repository / "models.json").write_text(json.dumps(models))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """One worker in front of a Triton that nobody starts."""
    write_models(tmp_path, "old")
    ensure_key_file(tmp_path / "credentials.toml")
    (port,) = free_loopback_ports(1)
    listener = listen("127.0.0.1", 0)
    return Plan(
        listener=listener,
        url=local_url("127.0.0.1", listener.getsockname()[1]),
        workers=1,
        environment=dict(os.environ)
        | {
            "VISAVIS_TRITON": f"http://127.0.0.1:{port}",
            "VISAVIS_MODEL_REPOSITORY": str(tmp_path),
            "VISAVIS_DATA_DIR": str(tmp_path),
        },
        triton=f"http://127.0.0.1:{port}",
        make_triton=None,
        model_repository=tmp_path,
        models=ServedModels.of(tmp_path),
        state_files=(tmp_path / "serving.json",),
    )


def serve(plan: Plan) -> None:
    asyncio.run(asyncio.wait_for(Supervisor(plan, on_ready=lambda: None).run(), 120))


def worker() -> int | None:
    """The one process of this one that answers, or None."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"visavis_server.worker" in stat.with_name("cmdline").read_bytes():
                return int(stat.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


async def answering(plan: Plan, unlike: int | None = None) -> int:
    """Wait for a worker, another than that one, and for its answer."""
    found = None
    for _ in range(1200):
        found = worker()
        if found not in {None, unlike}:
            break
        await asyncio.sleep(0.05)
    assert found is not None
    reader, writer = await asyncio.open_connection(*plan.listener.getsockname())
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()
    return found


def test_a_triton_that_died_does_not_come_back_with_other_models(plan: Plan, tmp_path: Path) -> None:
    """With the same it does, twice here; the end is one sentence, which main() shows with status 1."""
    runs: list[int] = []

    def make() -> EmbeddedTriton:
        runs.append(len(runs))
        return DyingTriton(lambda: write_models(tmp_path, "new" if len(runs) == 3 else "old"))

    with pytest.raises(CommandFailed) as end:
        serve(replace(plan, workers=0, make_triton=make))
    assert str(end.value) == f"the models in {tmp_path} were changed while they were served: start again"
    assert len(runs) == 3


def test_a_triton_that_the_system_cannot_start_for_a_while_is_tried_again(plan: Plan, tmp_path: Path) -> None:
    class Starved(DyingTriton):
        def start(self) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    runs: list[int] = []

    def make() -> EmbeddedTriton:
        runs.append(len(runs))
        kind = Starved if len(runs) == 2 else DyingTriton
        return kind(lambda: write_models(tmp_path, "new" if len(runs) == 3 else "old"))

    with pytest.raises(CommandFailed, match="were changed while they were served"):
        serve(replace(plan, workers=0, make_triton=make))
    assert len(runs) == 3


def test_a_worker_that_died_does_not_come_back_with_other_models(plan: Plan, tmp_path: Path) -> None:
    """With the same it does."""

    async def main() -> None:
        service = asyncio.create_task(Supervisor(plan, on_ready=lambda: None).run())
        first = await answering(plan)
        os.kill(first, signal.SIGKILL)
        second = await answering(plan, unlike=first)
        write_models(tmp_path, "new")
        await asyncio.sleep(0.2)
        assert not service.done()
        os.kill(second, signal.SIGKILL)
        await service

    with pytest.raises(CommandFailed, match=r"were changed while they were served: start again$"):
        asyncio.run(asyncio.wait_for(main(), 120))
    assert worker() is None


def test_a_worker_that_died_does_not_come_back_with_other_thresholds(plan: Plan, tmp_path: Path) -> None:
    """As `visavis calibrate` writes them: one pair would have two confidences, by the worker that answers."""

    async def main() -> None:
        service = asyncio.create_task(Supervisor(plan, on_ready=lambda: None).run())
        first = await answering(plan)
        write_models(tmp_path, "old", strictness=2)
        await asyncio.sleep(0.2)
        assert not service.done()
        os.kill(first, signal.SIGKILL)
        await service

    with pytest.raises(CommandFailed) as end:
        asyncio.run(asyncio.wait_for(main(), 120))
    assert str(end.value) == f"the thresholds in {tmp_path} were changed while they were served: start again"
    assert worker() is None


def test_a_triton_that_died_comes_back_beside_other_thresholds(plan: Plan, tmp_path: Path) -> None:
    """It reads none; the workers that run have theirs."""
    runs: list[int] = []

    def make() -> EmbeddedTriton:
        runs.append(len(runs))
        return DyingTriton(lambda: write_models(tmp_path, "new" if len(runs) == 3 else "old", strictness=2))

    with pytest.raises(CommandFailed, match=r"the models in .* were changed"):
        serve(replace(plan, workers=0, make_triton=make))
    assert len(runs) == 3


def test_models_that_are_taken_away_end_it_too(plan: Plan, tmp_path: Path) -> None:
    """As an export does before it puts the new ones there."""
    (tmp_path / "models.json").unlink()
    with pytest.raises(CommandFailed, match=r"were changed while they were served"):
        serve(plan)


def test_models_that_cannot_be_read_for_a_while_end_nothing(plan: Plan, tmp_path: Path) -> None:
    """The second run of Triton is started, though it is not known of which models; the third would be of others."""
    runs: list[int] = []

    models = tmp_path / "models.json"

    def stumble() -> None:
        if models.is_file():
            models.unlink()
            models.mkdir()

    def change() -> None:
        if models.is_dir():
            models.rmdir()
        write_models(tmp_path, "new")

    def make() -> EmbeddedTriton:
        runs.append(len(runs))
        return DyingTriton(stumble if len(runs) == 1 else change)

    with pytest.raises(CommandFailed, match=r"were changed while they were served"):
        serve(replace(plan, workers=0, make_triton=make))
    assert len(runs) == 2


def test_a_worker_comes_back_where_the_folder_of_its_numbers_is_gone(plan: Plan, tmp_path: Path) -> None:
    """As where the system tidies up in memory when a user logs out."""
    folder = tmp_path / "numbers"
    folder.mkdir()
    counted = replace(plan, environment={**plan.environment, "PROMETHEUS_MULTIPROC_DIR": str(folder)})

    async def main() -> None:
        service = asyncio.create_task(Supervisor(counted, on_ready=lambda: None).run())
        first = await answering(counted)
        # In one step: the worker counts on meanwhile, and a file made while a folder is emptied keeps it.
        folder.rename(tmp_path / "tidied-up")
        os.kill(first, signal.SIGKILL)
        second = await answering(counted, unlike=first)
        assert read_restarts(folder) == {"worker": 1}
        write_models(tmp_path, "new")
        os.kill(second, signal.SIGKILL)
        await service

    with pytest.raises(CommandFailed, match=r"were changed while they were served"):
        asyncio.run(asyncio.wait_for(main(), 120))
