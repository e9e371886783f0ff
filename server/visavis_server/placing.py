"""The model repository as this machine's Triton is given it: instances by its cores, and what runs the graphs.

A configuration for a CPU host stands in ``configs/cpu.pbtxt``, where the number of instances is a fixed one: Triton
cannot say "one for each core". Its parameter ``instances_per_core`` does, for the launcher: a configuration that has it
is given to Triton with the number that it amounts to here, one that has not is given as it is written. Which library
runs a graph is another thing that depends on the machine: a configuration that names no accelerator is given one where
OpenVINO is to run it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from visavis_server.errors import TritonFailed

_BACKEND = "onnxruntime"
PER_CORE = "instances_per_core"
_CPU_CONFIGURATION = Path("configs", "cpu.pbtxt")
#: So that a second request never waits for the first, whatever the machine.
_AT_LEAST = 2
#: Triton takes the instance with the least product of priority and executions: each is used only where those before it
#: are busy, but for one request in a thousand.
_PRIORITIES = (1, 10**3, 10**6, 10**9)


def lay_out(repository: Path, target: Path, *, cores: int, openvino: Collection[str] = ()) -> None:
    """Make ``target`` the same repository by links, with the number of instances set for ``cores``.

    ``openvino`` names the models that OpenVINO is to run.

    Raises:
        TritonFailed: a configuration cannot be read.
        OSError: a file cannot be read or written.
    """
    target.mkdir()
    for entry in sorted(repository.iterdir()):
        if (entry / _CPU_CONFIGURATION).is_file():
            _lay_out_model(entry, target / entry.name, cores, openvino=entry.name in openvino)
        else:
            (target / entry.name).symlink_to(entry)


def _lay_out_model(model: Path, target: Path, cores: int, *, openvino: bool) -> None:
    configurations = target / _CPU_CONFIGURATION.parent
    configurations.mkdir(parents=True)
    for entry in model.iterdir():
        if entry.name != configurations.name:
            (target / entry.name).symlink_to(entry)
    for entry in (model / configurations.name).iterdir():
        if entry.name != _CPU_CONFIGURATION.name:
            (configurations / entry.name).symlink_to(entry)
    try:
        text = with_instances((model / _CPU_CONFIGURATION).read_text("utf-8"), cores)
        text = with_openvino(text) if openvino else text
    except (text_format.ParseError, ValueError) as error:
        raise TritonFailed(f"{model / _CPU_CONFIGURATION}: {error}") from error
    (target / _CPU_CONFIGURATION).write_text(text, "utf-8")


def undecided(repository: Path) -> dict[str, str]:
    """The models whose graph any library may run on a CPU: configurations by name, as the JSON that a backend gets.

    One whose configuration names an accelerator itself is none of them.

    Raises:
        TritonFailed: a configuration cannot be read.
        OSError: likewise.
    """
    found = {}
    for path in sorted(repository.glob(f"*/{_CPU_CONFIGURATION}")):
        try:
            config = text_format.Parse(path.read_text("utf-8"), ModelConfig())
        except (text_format.ParseError, ValueError) as error:
            raise TritonFailed(f"{path}: {error}") from error
        if config.backend == _BACKEND and not config.optimization.execution_accelerators.cpu_execution_accelerator:
            found[path.parents[1].name] = json_format.MessageToJson(config, preserving_proto_field_name=True)
    return found


def with_openvino(text: str) -> str:
    """The configuration with OpenVINO as its accelerator on a CPU, in bfloat16 where the processor has it.

    Raises:
        ParseError, ValueError: it is no configuration.
    """
    config = text_format.Parse(text, ModelConfig())
    accelerator = config.optimization.execution_accelerators.cpu_execution_accelerator.add(name="openvino")
    accelerator.parameters["precision"] = "BF16"
    return str(text_format.MessageToString(config))


def with_instances(text: str, cores: int) -> str:
    """The configuration with as many instances as its ``instances_per_core`` asks for; without it, unchanged.

    A request is given to the first instance that is free, whose data still lie in the processor's caches: taking turns,
    as Triton does by itself, makes a lone request wait for memory.

    Raises:
        ParseError, ValueError: it is no configuration, or the number is none above 0.
    """
    config = text_format.Parse(text, ModelConfig())
    if PER_CORE not in config.parameters:
        return text
    asked = config.parameters[PER_CORE].string_value
    try:
        count = max(_AT_LEAST, math.ceil(float(asked) * cores))
    except (ValueError, OverflowError):
        raise ValueError(f"parameter {PER_CORE}: {asked!r} is not a number") from None
    del config.instance_group[:]
    config.instance_group.extend(_instance_groups(count))
    return str(text_format.MessageToString(config))


def _instance_groups(count: int) -> list[ModelInstanceGroup]:
    """One for each priority, the last with all the instances that are left."""
    groups = []
    for place, priority in enumerate(_PRIORITIES[:count]):
        last = place == len(_PRIORITIES) - 1
        group = ModelInstanceGroup(kind=ModelInstanceGroup.KIND_CPU, count=count - place if last else 1)
        group.rate_limiter.priority = priority
        groups.append(group)
    return groups
