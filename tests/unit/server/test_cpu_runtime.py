"""OpenVINO runs a graph on a CPU where it is asked for, or where it is measured to be the faster one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from trivial_models import CONFIG, make_repository

from visavis_server import cpu_runtime
from visavis_server.cpu_runtime import (
    CpuRuntime,
    MeasurementFailed,
    Times,
    check_installed,
    has_matrix_units,
    measure,
    models_for_openvino,
)
from visavis_server.device import Device
from visavis_server.errors import CommandFailed
from visavis_server.placing import undecided


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One model, with a configuration for a CPU."""
    root = make_repository(tmp_path / "models")
    (root / "doubler" / "configs").mkdir()
    (root / "doubler" / "configs" / "cpu.pbtxt").write_text(CONFIG)
    return root


@pytest.fixture
def amx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that has what this one may lack."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n")
    monkeypatch.setattr(cpu_runtime, "_PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())


def nothing(_repository: Path, _models: Mapping[str, str]) -> Times:
    raise AssertionError("nothing was to be measured")


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("model name\t: amx_bf16\nflags\t\t: fpu avx512_bf16 amx_int8\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),
    ],
)
def test_matrix_units_are_read_off_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu_runtime, "_PROCESSOR", tmp_path / "cpuinfo")
    assert has_matrix_units() is found
    monkeypatch.setattr(cpu_runtime, "_PROCESSOR", tmp_path / "none")
    assert not has_matrix_units()


def test_without_matrix_units_nothing_is_measured_or_told(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_runtime, "_PROCESSOR", tmp_path / "none")
    told: list[str] = []
    assert models_for_openvino(CpuRuntime.AUTO, repository, told.append, nothing) == frozenset()
    assert told == []


@pytest.mark.usefixtures("amx")
def test_without_the_package_nothing_is_measured(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert models_for_openvino(CpuRuntime.AUTO, repository, print, nothing) == frozenset()
    with pytest.raises(CommandFailed, match=r"install the extra `openvino` .*pip install '\.\[openvino\]'"):
        check_installed(CpuRuntime.OPENVINO, Device.CPU)
    check_installed(CpuRuntime.AUTO, Device.CPU)


@pytest.mark.usefixtures("amx")
@pytest.mark.parametrize(
    ("seconds", "chosen", "line"),
    [
        (0.0033, {"doubler"}, "openvino runs doubler: 3.3 ms, onnxruntime 4.7 ms"),
        (0.0046, set(), "onnxruntime runs doubler: 4.7 ms, openvino 4.6 ms"),
        (0.0190, set(), "onnxruntime runs doubler: 4.7 ms, openvino 19.0 ms"),
    ],
)
def test_the_faster_one_runs_a_model_and_is_told_in_one_line(
    repository: Path, seconds: float, chosen: set[str], line: str
) -> None:
    """Hardly faster is not faster."""
    told: list[str] = []
    times = {"doubler": {"onnxruntime": 0.0047, "openvino": seconds}}
    assert models_for_openvino(CpuRuntime.AUTO, repository, told.append, lambda *_: times) == chosen
    assert told == [line]


@pytest.mark.usefixtures("amx")
def test_a_measurement_that_fails_leaves_onnxruntime_with_a_line(repository: Path) -> None:
    def failing(_repository: Path, _models: Mapping[str, str]) -> Times:
        raise MeasurementFailed("not done within 10 s")

    told: list[str] = []
    assert models_for_openvino(CpuRuntime.AUTO, repository, told.append, failing) == frozenset()
    assert told == ["onnxruntime runs the models: OpenVINO could not be timed (not done within 10 s)"]


def test_what_is_asked_for_is_not_measured(repository: Path) -> None:
    told: list[str] = []
    assert models_for_openvino(CpuRuntime.OPENVINO, repository, told.append, nothing) == {"doubler"}
    assert told == ["OpenVINO runs doubler, as asked for"]
    assert models_for_openvino(CpuRuntime.ONNXRUNTIME, repository, told.append, nothing) == frozenset()


def test_an_accelerator_that_the_configuration_names_is_the_operators_own(repository: Path) -> None:
    """Neither measured nor changed."""
    own = 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }'
    (repository / "doubler" / "configs" / "cpu.pbtxt").write_text(CONFIG + own)
    assert models_for_openvino(CpuRuntime.OPENVINO, repository, print, nothing) == frozenset()


def test_both_libraries_are_timed_on_the_graphs_themselves(repository: Path) -> None:
    """In a process of its own; a time is one inference's."""
    pytest.importorskip("openvino")
    (times,) = measure(repository, undecided(repository), timeout_s=120).values()
    assert set(times) == {"onnxruntime", "openvino"}
    assert all(0 < seconds < 0.1 for seconds in times.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise SystemExit('the graph has no end')", "the graph has no end"),
        ("print('{}')", "no times: KeyError 'doubler'"),
        ("print('not JSON')", "no times: "),
        ("pass", "no times: "),
    ],
)
def test_a_process_that_fails_or_babbles_gives_no_times(repository: Path, text: str, words: str) -> None:
    with pytest.raises(MeasurementFailed, match=words):
        measure(repository, undecided(repository), command=program(text), timeout_s=120)


def test_a_process_that_hangs_is_killed(repository: Path) -> None:
    with pytest.raises(MeasurementFailed, match=r"not done within 0\.5 s"):
        measure(repository, undecided(repository), command=program("import time; time.sleep(60)"), timeout_s=0.5)
