"""What a Triton model configuration asks of a session, and whether a graph can do it.

The names and meanings of ``parameters`` and of ``optimization`` are those of Triton's C++ onnxruntime backend, so
that one ``config.pbtxt`` serves both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

Tensors = dict[str, npt.NDArray[Any]]

#: Triton's data types that a session takes, by the names that onnxruntime gives them.
_WHOLE = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
_DATA_TYPES: Mapping[str, str] = {
    **{f"TYPE_{name.upper()}": f"tensor({name})" for name in _WHOLE},
    **{"TYPE_FP16": "tensor(float16)", "TYPE_FP32": "tensor(float)", "TYPE_FP64": "tensor(double)"},
}


class ModelInvalid(Exception):
    """The model cannot be served as configured; the text says why."""


class ExecutionFault(Exception):
    """A batch could not be computed; the text says why."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output as ``config.pbtxt`` describes it; ``dims`` is without the batch axis, -1 is any length."""

    name: str
    onnx_type: str
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a session needs from a model configuration."""

    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    graph_file: str
    graph_level: int
    parameters: Mapping[str, str]
    #: Accelerators by name with their parameters, of the instance's own kind alone.
    cpu_accelerators: Mapping[str, Mapping[str, str]]
    gpu_accelerators: Mapping[str, Mapping[str, str]]

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read the JSON that Triton hands to ``initialize``.

        Raises:
            ModelInvalid: it asks for what this backend does not do.
        """
        config = json.loads(text)
        if config.get("sequence_batching"):
            raise ModelInvalid("sequence_batching is not supported")
        optimization = config.get("optimization", {})
        accelerators = optimization.get("execution_accelerators", {})
        return cls(
            max_batch_size=int(config.get("max_batch_size", 0)),
            inputs=tuple(_tensor_spec(entry) for entry in config.get("input", ())),
            outputs=tuple(_tensor_spec(entry) for entry in config.get("output", ())),
            graph_file=config.get("default_model_filename") or "model.onnx",
            graph_level=int(optimization.get("graph", {}).get("level", 0)),
            parameters={key: value["string_value"] for key, value in config.get("parameters", {}).items()},
            cpu_accelerators=_accelerators(accelerators.get("cpu_execution_accelerator", ())),
            gpu_accelerators=_accelerators(accelerators.get("gpu_execution_accelerator", ())),
        )

    def number(self, name: str, default: int) -> int:
        """A parameter that is a whole number of at least 0."""
        text = self.parameters.get(name, str(default))
        if not text.strip().isdecimal():
            raise ModelInvalid(f"parameter {name}: {text!r} is not a whole number of at least 0")
        return int(text)

    def flag(self, name: str, *, default: bool) -> bool:
        """A parameter that is 0 or 1, true or false."""
        text = self.parameters.get(name, str(default)).strip().lower()
        if text not in {"0", "1", "true", "false"}:
            raise ModelInvalid(f"parameter {name}: {text!r} is neither 0 nor 1")
        return text in {"1", "true"}


def _tensor_spec(entry: Mapping[str, Any]) -> TensorSpec:
    name, data_type = entry["name"], entry["data_type"]
    if data_type not in _DATA_TYPES:
        raise ModelInvalid(f"{name}: {data_type} is not supported")
    for feature in ("reshape", "allow_ragged_batch", "is_shape_tensor"):
        if entry.get(feature):
            raise ModelInvalid(f"{name}: {feature} is not supported")
    return TensorSpec(name, _DATA_TYPES[data_type], tuple(int(length) for length in entry["dims"]))


def _accelerators(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    return {entry["name"]: dict(entry.get("parameters", {})) for entry in entries}


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output as a graph has it; ``lengths`` are with the batch axis, -1 is free; none: any shape."""

    name: str
    onnx_type: str
    lengths: tuple[int, ...]


class Session(Protocol):
    """A graph that a library has made ready."""

    @property
    def inputs(self) -> Sequence[Port]:
        """All of them have to be fed."""

    @property
    def outputs(self) -> Sequence[Port]:
        """Those that it can compute."""

    def compute(self, feed: Tensors) -> Tensors:
        """The configured outputs, which the next computation leaves as they are.

        Raises:
            ExecutionFault: the tensors, or the graph, are at fault.
        """


def check(config: ModelConfig, session: Session) -> None:
    """Hold names, types and shapes of a configuration against a graph; an output need not be used.

    Raises:
        ModelInvalid: the first difference.
    """
    batched = config.max_batch_size > 0
    _check(config.inputs, session.inputs, "input", batched=batched)
    _check(config.outputs, session.outputs, "output", batched=batched)


def _check(configured: Sequence[TensorSpec], graph: Sequence[Port], word: str, *, batched: bool) -> None:
    found = {port.name: port for port in graph}
    names = {spec.name for spec in configured}
    if not names or not names <= set(found) or (word == "input" and names != set(found)):
        raise ModelInvalid(f"the graph's {word}s are {sorted(found)}, the configuration's {sorted(names)}")
    for spec in configured:
        port = found[spec.name]
        if port.onnx_type != spec.onnx_type:
            raise ModelInvalid(f"{word} {spec.name} is {port.onnx_type} in the graph, configured as {spec.onnx_type}")
        dims = (-1, *spec.dims) if batched else spec.dims
        if not port.lengths:  # of unknown rank, or a scalar, which Triton has no word for
            continue
        if not fits(port.lengths, dims):
            raise ModelInvalid(
                f"{word} {spec.name} has shape {list(port.lengths)} in the graph, configured as {list(dims)}"
            )
        if batched and port.lengths[0] != -1:
            raise ModelInvalid(
                f"{word} {spec.name} has a batch axis of {port.lengths[0]}: free it, or set max_batch_size: 0"
            )


def fits(lengths: Sequence[int], others: Sequence[int]) -> bool:
    """Whether both can be the shape of one tensor; -1 is any length."""
    return len(lengths) == len(others) and all(a == b for a, b in zip(lengths, others, strict=True) if -1 not in (a, b))
