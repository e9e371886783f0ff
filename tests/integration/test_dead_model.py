"""A model whose process is gone does not answer faults for ever: Triton is started anew, and serves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from trivial_models import make_repository

from visavis_server.backoff import Backoff
from visavis_server.device import Device
from visavis_server.keeper import Keeper
from visavis_server.processes import TritonProcess
from visavis_server.stubs import children_of
from visavis_server.triton import EmbeddedTriton, TritonPorts

ROW = [1.0, 2.0, 3.0, 4.0]
DOUBLED = [2.0, 4.0, 6.0, 8.0]
#: Of a start of Triton, which on a busy machine takes many times what it takes on an idle one.
PATIENCE_S = 120.0


class Kept:
    """A Triton that is kept up on the same ports."""

    def __init__(self, repository: Path, log: Path) -> None:
        self.ports = TritonPorts.free()
        self.runs: list[EmbeddedTriton] = []

        def next_run() -> TritonProcess:
            self.runs.append(EmbeddedTriton(repository, log=log, device=Device.CPU, ports=self.ports))
            return TritonProcess(self.runs[-1])

        self.keeper = Keeper("Triton", next_run, backoff=Backoff())

    def answer(self, model: str = "doubler") -> list[float] | int:
        """A row's output, or the status of what was answered instead; 0 where nobody did."""
        tensor = {"name": "x", "shape": [1, len(ROW)], "datatype": "FP32", "data": ROW}
        url = f"http://127.0.0.1:{self.ports.http}/v2/models/{model}/infer"
        try:
            request = urllib.request.Request(url, json.dumps({"inputs": [tensor]}).encode())
            with urllib.request.urlopen(request, timeout=10) as found:
                output: list[float] = json.load(found)["outputs"][0]["data"]
                return output
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def answers_nothing(self, model: str) -> None:
        """Ask that model, and see that it gives no row."""
        assert self.answer(model) in {500, 0}

    async def comes_back_after(self, scenario: Callable[[], None]) -> None:
        """Run the scenario once it is up, and wait until another run answers."""
        keeping = asyncio.create_task(self.keeper.run())
        try:
            await asyncio.wait_for(self.keeper.was_up.wait(), PATIENCE_S)
            assert await asyncio.to_thread(self.answer) == DOUBLED
            await asyncio.to_thread(scenario)
            await asyncio.to_thread(self._wait_for_another_run)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    def _wait_for_another_run(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.runs) == 1 or self.answer() != DOUBLED:
            assert time.monotonic() < deadline, "it did not come back"
            time.sleep(0.1)


def test_a_killed_model_comes_back(tmp_path: Path) -> None:
    """As the kernel kills one where memory is short."""
    kept = Kept(make_repository(tmp_path / "models"), tmp_path / "log")

    def scenario() -> None:
        (stub,) = children_of(kept.runs[0].pid)
        os.kill(stub, signal.SIGKILL)

    asyncio.run(kept.comes_back_after(scenario))


def add_broken_model(root: Path) -> None:
    """One that fails for any row, as a model does whose card has an error that stays: it looks beyond a table's end."""
    constants = [
        helper.make_tensor("table", TensorProto.FLOAT, [1, 4], ROW),
        helper.make_tensor("beyond", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "beyond"], ["found"], axis=0),
        helper.make_node("Add", ["x", "found"], ["y"]),
    ]
    save_model(root, "broken", nodes, constants)


def save_model(root: Path, name: str, nodes: list[onnx.NodeProto], constants: list[TensorProto]) -> None:
    """Add that graph from ``x`` to ``y`` beside the doubler, and as the doubler is configured."""
    sides = [helper.make_tensor_value_info(side, TensorProto.FLOAT, ["n", 4]) for side in ("x", "y")]
    graph = helper.make_graph(nodes, name, sides[:1], sides[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (root / name / "1").mkdir(parents=True)
    onnx.save(model, root / name / "1" / "model.onnx")
    text = (root / "doubler" / "config.pbtxt").read_text().replace("doubler", name)
    (root / name / "config.pbtxt").write_text(text)


def test_a_model_that_only_fails_ends_itself(tmp_path: Path) -> None:
    """Four faults are answers; at the fifth its process ends, because a row of its own fails as well."""
    root = make_repository(tmp_path / "models")
    add_broken_model(root)
    kept = Kept(root, tmp_path / "log")

    def scenario() -> None:
        assert {kept.answer("broken") for _ in range(4)} == {500}
        assert kept.answer("broken") in {500, 0}

    asyncio.run(kept.comes_back_after(scenario))
    assert "broken: nothing can be computed any more, so this process ends" in (tmp_path / "log").read_text()


def add_endless_model(root: Path) -> None:
    """One whose graph goes round and round, for any row."""
    scalar: tuple[int, list[int]] = (TensorProto.BOOL, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["still"]), helper.make_node("Neg", ["row"], ["other"])],
        "round",
        [
            helper.make_tensor_value_info("at", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", *scalar),
            helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", 4]),
        ],
        [
            helper.make_tensor_value_info("still", *scalar),
            helper.make_tensor_value_info("other", TensorProto.FLOAT, ["n", 4]),
        ],
    )
    constants = [
        helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]),
        helper.make_tensor("true", *scalar, [True]),
    ]
    nodes = [helper.make_node("Loop", ["rounds", "true", "x"], ["y"], body=body)]
    save_model(root, "endless", nodes, constants)


def test_a_model_that_hangs_ends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Triton says for ever that it is ready; where it hung stands in Triton's log."""
    monkeypatch.setenv("VISAVIS_MODEL_EXECUTION_LIMIT_S", "2")
    root = make_repository(tmp_path / "models")
    add_endless_model(root)
    kept = Kept(root, tmp_path / "log")
    asyncio.run(kept.comes_back_after(lambda: kept.answers_nothing("endless")))
    assert "the process of endless_0_0 was ended by SIGALRM" in caplog.text
    assert " in _execute\n" in (tmp_path / "log").read_text()
