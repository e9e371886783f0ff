"""Which library runs the graphs on a CPU: onnxruntime, or OpenVINO in bfloat16 where that is measured to be faster.

A processor's matrix units (AMX) multiply bfloat16 several times as fast as its vector units multiply float32, and
OpenVINO uses them. Without them onnxruntime is the faster one with these graphs, so nothing is measured there.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from visavis_server.device import Device, choose_device
from visavis_server.errors import CommandFailed
from visavis_server.guard import die_with_parent
from visavis_server.installation import TritonInstallation
from visavis_server.own_programs import module_command

_PROCESSOR = Path("/proc/cpuinfo")
_MATRIX_UNITS = "amx_bf16"
#: The turns take two seconds or three; on a busy machine more, and then the start goes on without them.
_TIMEOUT_S = 10.0
_TURNS = tuple(module_command("visavis_server.backends.turns"))
#: Of onnxruntime's time: what is hardly faster may as well be noise.
_FASTER = 0.95


class CpuRuntime(StrEnum):
    """What runs the graphs on a CPU; AUTO measures, where OpenVINO may be the faster one."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class MeasurementFailed(Exception):
    """The two could not be compared; the text says why."""


#: Seconds of one inference, by model and then by ``onnxruntime`` and ``openvino``.
Times = Mapping[str, Mapping[str, float]]


def check_installed(wanted: CpuRuntime, device: Device) -> None:
    """Refuse a service that shall run on OpenVINO and cannot; on a GPU nothing of this has a meaning.

    Raises:
        CommandFailed: OpenVINO is asked for and is not there.
    """
    if wanted is CpuRuntime.OPENVINO and not _installed() and choose_device(device) is Device.CPU:
        raise CommandFailed(
            "OpenVINO was asked for, but is not installed: install the extra `openvino` "
            "(in the project's folder: pip install '.[openvino]')"
        )


def _installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def has_matrix_units() -> bool:
    """Whether Linux says that the processor multiplies matrices of bfloat16."""
    try:
        lines = _PROCESSOR.read_text("utf-8").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return _MATRIX_UNITS in flags.split()


def measure(
    repository: Path,
    configurations: Mapping[str, str],
    *,
    command: Sequence[str] = _TURNS,
    timeout_s: float = _TIMEOUT_S,
) -> Times:
    """Time every model by both libraries, in turns, in a process that is gone afterwards.

    Args:
        repository: Holds the graphs.
        configurations: The JSON of each model, by its name.
        command: What does it; see ``visavis_server.backends.turns``.
        timeout_s: After so long the process is killed.

    Raises:
        MeasurementFailed: it took too long, failed, or gave no times.
    """
    asked = {name: {"folder": str(repository / name / "1"), "config": text} for name, text in configurations.items()}
    lines = _printed(command, json.dumps(asked), timeout_s)
    try:
        found = json.loads(lines[-1])
        return {name: {key: float(found[name][key]) for key in ("onnxruntime", "openvino")} for name in configurations}
    except (ValueError, LookupError, TypeError) as error:
        raise MeasurementFailed(f"no times: {type(error).__name__} {error}") from None


def _printed(command: Sequence[str], given: str, timeout_s: float) -> list[str]:
    """The lines that a process prints for what it is given, in surroundings like those of Triton's processes.

    Raises:
        MeasurementFailed: it took too long, or failed.
    """
    try:
        done = subprocess.run(
            command,
            input=given,
            # How memory is kept has a say.
            env=TritonInstallation.find().environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"not done within {timeout_s:g} s") from None
    except OSError as error:
        raise MeasurementFailed(str(error)) from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise MeasurementFailed(words[-1][:300] if words else f"status {done.returncode}")
    return done.stdout.splitlines()


def models_for_openvino(
    wanted: CpuRuntime,
    repository: Path,
    tell: Callable[[str], None],
    measure: Callable[[Path, Mapping[str, str]], Times] = measure,
) -> frozenset[str]:
    """The models of the repository that OpenVINO is to run; what was chosen is told in one line, unless nothing was.

    Raises:
        TritonFailed: a configuration cannot be read.
        OSError: likewise.
    """
    if wanted is CpuRuntime.ONNXRUNTIME or (wanted is CpuRuntime.AUTO and not (has_matrix_units() and _installed())):
        return frozenset()
    # Not before: it brings grpc and numpy along, which most commands do without.
    from visavis_server.placing import undecided

    models = undecided(repository)
    if wanted is CpuRuntime.OPENVINO:
        tell(f"OpenVINO runs {', '.join(sorted(models))}, as asked for")
        return frozenset(models)
    try:
        times = measure(repository, models)
    except MeasurementFailed as error:
        tell(f"onnxruntime runs the models: OpenVINO could not be timed ({error})")
        return frozenset()
    tell("; ".join(_sentence(name, found) for name, found in sorted(times.items())))
    return frozenset(name for name, found in times.items() if _openvino_is_faster(found))


def _openvino_is_faster(times: Mapping[str, float]) -> bool:
    return times["openvino"] < _FASTER * times["onnxruntime"]


def _sentence(model: str, times: Mapping[str, float]) -> str:
    first, second = ("openvino", "onnxruntime") if _openvino_is_faster(times) else ("onnxruntime", "openvino")
    return f"{first} runs {model}: {1000 * times[first]:.1f} ms, {second} {1000 * times[second]:.1f} ms"
