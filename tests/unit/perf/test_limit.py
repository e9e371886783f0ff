"""The limit's processes: they measure in bursts, wait without work between them, and end with the bench."""

from __future__ import annotations

import importlib
import os
import time
from itertools import islice
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from visavis_perf import bare, limit, pictures
from visavis_perf.bare import DECODERS, BareLoop, BareResult, Runtime, Way, Ways, fastest_decoder
from visavis_perf.child import Child, LimitFailed
from visavis_perf.limit import BareProcesses, Burst, best_graphs, limits
from visavis_perf.pictures import PICTURE_SETS
from visavis_server import tuning

_RUNTIME = Runtime("onnxruntime", "float32")
_WAYS = Ways("simplejpeg", Way(_RUNTIME), Way(_RUNTIME))


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
    repository: Path, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by name."""
    bad = Runtime("openvino", "without a file")
    load = bare.load

    def failing(runtime: Runtime, graph: Path, *, threads: int = 1) -> bare.Graph:
        return load(runtime, graph / "none" if runtime == bad else graph, threads=threads)

    monkeypatch.setattr(bare, "load", failing)
    loop = BareLoop([bad, _RUNTIME], repository, {"250": jpegs}, core=0)
    assert loop.run("250", _WAYS, 0.0, time.monotonic() + 0.1).images
    assert "openvino without a file cannot run these graphs" in loop.told_unable()[bad]


def test_each_graph_has_its_own_best_way() -> None:
    """The one that is quickest for the detector need not be for the embedder; alone, only batches of one count."""
    other = Runtime("openvino", "bfloat16")
    tried = {
        Way(_RUNTIME, 1): {"detect": 10.0, "embed": 15.0},
        Way(_RUNTIME, 4): {"detect": 11.0, "embed": 13.0},
        Way(other, 1): {"detect": 20.0, "embed": 14.0},
    }
    assert best_graphs(tried) == (Way(_RUNTIME, 1), Way(_RUNTIME, 4))
    found = limit.Limits({"250": _WAYS}, tried, {}, 1.0, None)  # type: ignore[arg-type]
    assert found.alone("250") == Ways("simplejpeg", Way(_RUNTIME, 1), Way(other, 1))


def test_a_picture_is_counted_once_however_many_a_graph_takes(repository: Path, jpegs: list[bytes]) -> None:
    """Each part does as many pictures as the others."""
    done = {"detect": 0, "embed": 0}
    loop = BareLoop([_RUNTIME], repository, {"250": jpegs}, core=0)

    def counting(part: str, graph: bare.Graph) -> bare.Graph:
        def run(batch: bare.Pixels) -> dict[str, bare.Pixels]:
            done[part] += len(batch)
            return graph(batch)

        return run

    detector, embedder = loop._graphs[_RUNTIME]
    loop._graphs[_RUNTIME] = counting("detect", detector), counting("embed", embedder)
    ways = Ways("OpenCV", Way(_RUNTIME, 1), Way(_RUNTIME, 4))
    found = loop._work("250", ways, time.monotonic() + 0.2)
    assert found.images == done["detect"] == done["embed"] > 0


def test_the_quickest_decoder_is_chosen(jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them give the detector what it needs, in RGB."""
    shapes = {name: decoder(jpegs[0]).shape for name, decoder in DECODERS.items()}
    assert set(shapes.values()) == {(250, 250, 3)}
    reds = {name: round(float(decoder(jpegs[0])[..., 0].mean())) for name, decoder in DECODERS.items()}
    assert max(reds.values()) - min(reds.values()) <= 2

    def slow(jpeg: bytes) -> bare.Pixels:
        time.sleep(0.005)
        return DECODERS["OpenCV"](jpeg)

    monkeypatch.setattr(bare, "DECODERS", {"slow": slow, "OpenCV": DECODERS["OpenCV"]})
    assert fastest_decoder(jpegs) == "OpenCV"


def test_the_bare_work_has_the_memory_of_a_served_model() -> None:
    """Else the service could beat its limit; the bench itself, and what else it starts, is left as it is."""
    child = Child(importlib.import_module, "os")
    try:
        child.receive(60)
        for name, value in tuning.ENVIRONMENT.items():
            child.send("getenv", name)
            assert child.receive(10) == value
        child.send("stat", "missing")
        with pytest.raises(LimitFailed, match="FileNotFoundError"):
            child.receive(10)
    finally:
        child.close()
    assert os.environ.get("GLIBC_TUNABLES") != tuning.ENVIRONMENT["GLIBC_TUNABLES"]


def test_processes_wait_without_work_and_end_with_the_bench(repository: Path, jpegs: list[bytes]) -> None:
    """Blocked on a pipe: what they would spend between bursts, the measured service could not have."""
    known = {process.pid for process in psutil.Process().children()}
    processes = BareProcesses([_RUNTIME], repository, {"250": jpegs})
    try:
        processes.wait()
        processes.burst("250", _WAYS, 0.1)
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
    processes = BareProcesses([_RUNTIME], repository, {"250": jpegs})
    try:
        processes.wait()
        for child in processes._children:
            child.process.kill()
        with pytest.raises(LimitFailed, match="process of the bare work ended"):
            processes.burst("250", _WAYS, 0.1)
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
