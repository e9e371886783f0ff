"""The limit's processes: they measure in bursts, wait without work between them, and end with the bench."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from visavis_perf import limit, pictures
from visavis_perf.bare import BareResult, Runtime
from visavis_perf.limit import BareProcesses, Burst, LimitFailed, limits
from visavis_perf.pictures import PICTURE_SETS

_RUNTIME = Runtime("onnxruntime", "float32")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two graphs that take what detector and embedder take, and give its last row."""
    folder = tmp_path_factory.mktemp("repository")
    for model, side in (("face_detector", 640), ("face_embedder", 112)):
        path = folder / model / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        shape = ["n", side, side, 3]
        graph = helper.make_graph(
            [helper.make_node("Gather", ["image", "last"], ["row"], axis=1)],
            model,
            [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info("row", TensorProto.UINT8, ["n", side, 3])],
            [helper.make_tensor("last", TensorProto.INT64, [], [side - 1])],
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return folder


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    return list(islice(pictures._from_portraits(PICTURE_SETS["250"], pictures._portraits()), 8))


def test_bursts_are_measured_and_told(repository: Path, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each burst is a rate of its own; their median and how far they swung go into the record."""
    monkeypatch.setattr(limit, "runtimes", lambda: [_RUNTIME])
    with limits(repository, {"250": jpegs, "1mp": jpegs[:4]}, try_seconds=0.1, burst_seconds=0.2) as found:
        rates = [found.burst("250") for _ in range(3)]
    row = found.as_dict()["250"]
    assert all(rate > 0 for rate in rates)
    assert (row["slowest"], row["images_per_s"], row["fastest"]) == tuple(sorted(rates))
    assert row["core_ms"].keys() == {"decode", "detect", "embed"}
    assert found.as_dict().keys() == {"250"}


def test_graphs_that_no_runtime_can_run_are_told(tmp_path: Path, jpegs: list[bytes]) -> None:
    """Each runtime says why; what one of several cannot run, the others may."""
    for model in ("face_detector", "face_embedder"):
        path = tmp_path / model / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no graph")
    with (
        pytest.raises(LimitFailed, match="onnxruntime float32 cannot run these graphs"),
        limits(tmp_path, {"250": jpegs}, try_seconds=0.1, burst_seconds=0.1),
    ):
        pass


def test_a_runtime_that_fails_leaves_the_choice_to_the_others(
    repository: Path, jpegs: list[bytes], tmp_path: Path
) -> None:
    """It is told by name."""
    bad, good = Runtime("onnxruntime", "bad"), _RUNTIME
    processes = {
        bad: BareProcesses(bad, tmp_path, {"250": jpegs}),
        good: BareProcesses(good, repository, {"250": jpegs}),
    }
    try:
        unable = limit._leave_out_unable(processes)
        assert list(processes) == [good]
        assert "onnxruntime bad cannot run these graphs" in unable["onnxruntime bad"]
    finally:
        processes[good].close()


def test_processes_wait_without_work_and_end_with_the_bench(repository: Path, jpegs: list[bytes]) -> None:
    """Blocked on a pipe: what they would spend between bursts, the measured service could not have."""
    known = {process.pid for process in psutil.Process().children()}
    processes = BareProcesses(_RUNTIME, repository, {"250": jpegs})
    try:
        processes.wait()
        processes.burst("250", 0.1)
        ours = [process for process in psutil.Process().children(recursive=True) if process.pid not in known]
        before = sum(sum(process.cpu_times()[:2]) for process in ours)
        time.sleep(0.5)
        assert sum(sum(process.cpu_times()[:2]) for process in ours) - before < 0.05
    finally:
        processes.close()
    loops = [process for process in ours if process.is_running() and "spawn_main" in " ".join(process.cmdline())]
    assert not loops


def test_a_process_that_ends_is_a_failure_and_no_hang(repository: Path, jpegs: list[bytes]) -> None:
    """A bench without its yardstick has nothing to say."""
    processes = BareProcesses(_RUNTIME, repository, {"250": jpegs})
    try:
        processes.wait()
        for process in processes._processes:
            process.kill()
        with pytest.raises(LimitFailed, match="onnxruntime float32"):
            processes.burst("250", 0.1)
    finally:
        processes.close()


def test_a_missing_graph_is_told_with_its_remedy(tmp_path: Path, jpegs: list[bytes]) -> None:
    """Before anything is started."""
    with (
        pytest.raises(LimitFailed, match="make export"),
        limits(tmp_path, {"250": jpegs}, try_seconds=1, burst_seconds=1),
    ):
        pass


def test_a_burst_is_the_sum_of_its_processes() -> None:
    """Rates add up; milliseconds are of one core, for a picture."""
    burst = Burst.of([BareResult(10, 2.0, (0.1, 0.9, 1.0)), BareResult(30, 2.0, (0.3, 0.7, 1.0))])
    assert burst.images_per_s == 20
    assert burst.core_ms == {"decode": 10.0, "detect": 40.0, "embed": 50.0}
