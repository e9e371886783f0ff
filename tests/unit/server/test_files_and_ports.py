"""What the launcher leaves on disk, and where it listens."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from visavis_proxy.credentials import Contract, Credentials
from visavis_server.cpu_runtime import CpuRuntime
from visavis_server.device import Device, device_of
from visavis_server.errors import ModelsUnreadable, PortTaken, TritonMissing
from visavis_server.key_file import ensure_key_file
from visavis_server.main import default_workers
from visavis_server.ports import candidates, check_loopback_port, free_loopback_ports
from visavis_server.serve import ServeOptions, in_flight, listen, local_url
from visavis_server.state import ServingState, TritonState, models_digest
from visavis_server.triton import TritonPorts, check_shared_memory

_OPTIONS = ServeOptions(
    host="127.0.0.1",
    port=0,
    workers=1,
    credentials=None,
    model_repository=Path(),
    data_dir=Path(),
    triton=None,
    triton_metrics_port=None,
    device=Device.CPU,
    cpu_runtime=CpuRuntime.AUTO,
    ready_file=None,
)


def test_a_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "credentials.toml"
    assert ensure_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(Credentials.load(path)) == 1
    key_id = path.read_text().split('id = "')[1].split('"')[0]
    key = Credentials.load(path).find(key_id)
    assert key is not None
    assert set(key.contracts) == set(Contract)
    assert len(key.secret.get_secret_value()) >= 32
    assert [found.name for found in path.parent.iterdir()] == ["credentials.toml"]


def test_two_first_starts_make_two_different_keys(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ensure_key_file(tmp_path / name)
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_a_key_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "credentials.toml"
    path.write_text("mine")
    assert not ensure_key_file(path)
    assert path.read_text() == "mine"


def test_ports_are_free_and_lie_outside_the_range_of_outgoing_connections() -> None:
    ports = free_loopback_ports(3)
    assert len(set(ports)) == 3
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass
    assert not set(candidates((32_768, 60_999))) & set(range(32_768, 61_000))


def test_a_taken_port_is_told_in_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            listen("127.0.0.1", port)


def test_tritons_metrics_may_have_a_port_of_ones_own() -> None:
    """The others are another two; a taken one is told in a sentence."""
    (named,) = free_loopback_ports(1)
    ports = TritonPorts.free(metrics=named)
    assert ports.metrics == named
    assert len({ports.grpc, ports.http, ports.metrics}) == 3
    check_loopback_port(named)
    with (
        socket.create_server(("127.0.0.1", named)),
        pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{named} for Triton's metrics: Address already in use"),
    ):
        check_loopback_port(named)


def test_an_address_of_elsewhere_is_told_in_one_sentence() -> None:
    with pytest.raises(PortTaken, match="cannot listen on"):
        listen("192.0.2.1", 0)


def test_the_printed_url_can_be_reached_from_this_machine() -> None:
    assert local_url("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert local_url("::", 80) == "http://[::1]:80"
    assert local_url("10.1.2.3", 80) == "http://10.1.2.3:80"


def test_the_state_file_tells_of_a_living_service_alone(tmp_path: Path) -> None:
    path = tmp_path / "serving.json"
    assert ServingState.read(path) is None
    state = ServingState("http://127.0.0.1:1", TritonState("127.0.0.1:2"))
    state.write([path])
    assert ServingState.read(path) == state
    gone = subprocess.Popen(["true"])
    gone.wait()
    ServingState("http://127.0.0.1:1", TritonState("127.0.0.1:2"), pid=gone.pid).write([path])
    assert ServingState.read(path) is None


def test_a_service_removes_its_own_state_file_and_no_other(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    ServingState("u", TritonState("t")).write([mine])
    ServingState("u", TritonState("t"), pid=os.getppid()).write([other])
    ServingState.remove([mine, other])
    assert not mine.exists()
    assert other.exists()


def test_a_state_file_that_cannot_be_written_leaves_nothing_and_keeps_no_other_from_being(tmp_path: Path) -> None:
    """As on a full disk; here a folder stands in its place."""
    (tmp_path / "serving.json").mkdir()
    state = ServingState("http://127.0.0.1:1", TritonState("127.0.0.1:2"))
    with pytest.raises(OSError, match=r"serving\.json"):
        state.write([tmp_path / "serving.json", tmp_path / "ready.json"])
    assert ServingState.read(tmp_path / "ready.json") == state
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready.json", "serving.json"]


def test_models_that_cannot_be_read_are_not_other_models(tmp_path: Path) -> None:
    """Those that are missing are; a folder in their place stands for a disk that stumbles."""
    assert models_digest(tmp_path) == ""
    (tmp_path / "models.json").mkdir()
    with pytest.raises(ModelsUnreadable, match=r"models\.json cannot be read: "):
        models_digest(tmp_path)


def test_the_models_keep_most_of_the_cores() -> None:
    assert [default_workers(cores) for cores in (1, 2, 8, 64)] == [1, 1, 2, 8]


@pytest.mark.parametrize(
    ("device", "cores", "workers", "pictures"),
    [
        (Device.CPU, 1, 1, 8),
        (Device.CPU, 2, 1, 16),
        (Device.CPU, 16, 4, 32),
        (Device.CPU, 64, 8, 64),
        (Device.CPU, 2, 4, 8),
        (Device.GPU, 2, 1, 64),
        (Device.GPU, 12, 3, 128),
        (Device.GPU, 16, 4, 128),
        (Device.GPU, 64, 8, 64),
    ],
)
def test_the_cores_share_what_is_let_in(
    device: Device, cores: int, workers: int, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISAVIS_MAX_IN_FLIGHT", raising=False)
    options = replace(_OPTIONS, workers=workers)
    assert in_flight(options, device, cores) == {"VISAVIS_MAX_IN_FLIGHT": str(pictures)}
    assert in_flight(replace(options, triton="elsewhere:8001"), device, cores) == {}, "whose cores are not known here"
    monkeypatch.setenv("VISAVIS_MAX_IN_FLIGHT", "5")
    assert in_flight(options, device, cores) == {}, "what is set stays"


def test_beside_a_card_no_more_is_let_in_than_its_queues_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more came, Triton would refuse pictures whose comparison was let in."""
    monkeypatch.delenv("VISAVIS_MAX_IN_FLIGHT", raising=False)
    repository = Path(__file__).resolve().parents[3] / "model_repository"
    queues = [
        int(length)
        for model in ("face_detector", "face_embedder")
        for length in re.findall(r"max_queue_size: (\d+)", (repository / model / "config.pbtxt").read_text("utf-8"))
    ]
    assert len(queues) == 2
    for cores in (16, 128):
        workers = default_workers(cores)
        told = in_flight(replace(_OPTIONS, workers=workers), Device.GPU, cores)
        assert workers * int(told["VISAVIS_MAX_IN_FLIGHT"]) <= min(queues)


def test_too_little_shared_memory_is_told_with_its_remedy() -> None:
    check_shared_memory(1 << 30)
    with pytest.raises(TritonMissing, match=r"has 64 MiB left.*--shm-size"):
        check_shared_memory(64 << 20)


@pytest.mark.parametrize(
    ("wanted", "has_driver", "installed", "device"),
    [
        (Device.AUTO, True, {"onnxruntime-gpu"}, Device.GPU),
        (Device.AUTO, True, {"onnxruntime"}, Device.CPU),
        (Device.AUTO, False, {"onnxruntime", "onnxruntime-gpu"}, Device.CPU),
        (Device.GPU, True, {"onnxruntime-gpu"}, Device.GPU),
        (Device.CPU, True, {"onnxruntime", "onnxruntime-gpu"}, Device.CPU),
    ],
)
def test_a_gpu_is_taken_where_it_can_be_used(
    wanted: Device, has_driver: bool, installed: set[str], device: Device
) -> None:
    assert device_of(wanted, has_driver=has_driver, installed=installed) is device


@pytest.mark.parametrize(
    ("wanted", "has_driver", "installed", "sentence"),
    [
        (Device.GPU, False, {"onnxruntime-gpu"}, "no NVIDIA driver is loaded"),
        (
            Device.GPU,
            True,
            {"onnxruntime"},
            "onnxruntime-gpu is not installed: make an environment with .*embedded-gpu",
        ),
        (Device.GPU, True, {"onnxruntime", "onnxruntime-gpu"}, "both installed and overwrite each other"),
        (Device.AUTO, True, {"onnxruntime", "onnxruntime-gpu"}, "both installed .* or say --device cpu"),
    ],
)
def test_what_keeps_a_gpu_from_being_used_is_told(
    wanted: Device, has_driver: bool, installed: set[str], sentence: str
) -> None:
    with pytest.raises(TritonMissing, match=sentence):
        device_of(wanted, has_driver=has_driver, installed=installed)


def test_help_needs_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys, visavis_server.main; print({'fastapi', 'numpy', 'grpc', 'uvicorn', 'pydantic'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
