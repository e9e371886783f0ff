"""An onnxruntime session made from a Triton model configuration; knows nothing of Triton itself.

The names and meanings of ``parameters`` and of ``optimization`` are those of Triton's C++ onnxruntime backend, so
that one ``config.pbtxt`` serves both. Runs under numpy 1 and 2.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Tensors = dict[str, npt.NDArray[Any]]
Provider = tuple[str, dict[str, str]]

#: Triton's data types that a session takes, by the names that onnxruntime gives them.
_WHOLE = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
_DATA_TYPES: Mapping[str, str] = {
    **{f"TYPE_{name.upper()}": f"tensor({name})" for name in _WHOLE},
    **{"TYPE_FP16": "tensor(float16)", "TYPE_FP32": "tensor(float)", "TYPE_FP64": "tensor(double)"},
}

#: ``optimization { graph { level } }``; whatever else stands there means everything.
_GRAPH_LEVELS: Mapping[int, ort.GraphOptimizationLevel] = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}

_CUDA, _TENSORRT, _CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"

#: A session configuration entry; busy-waiting threads starve the other processes of a machine that shares its cores.
_SPINNING = "session.intra_op.allow_spinning"
_ARENA_SHRINKAGE = "memory.enable_memory_arena_shrinkage"


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


def session_options(config: ModelConfig) -> ort.SessionOptions:
    """Threads, execution order, memory and graph optimisation.

    Raises:
        ModelInvalid: a parameter is out of range.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = _GRAPH_LEVELS.get(config.graph_level, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    mode = config.number("execution_mode", 0)
    if mode > 1:
        raise ModelInvalid(f"parameter execution_mode: 0 is sequential, 1 is parallel, {mode} is neither")
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL if mode else ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = config.number("intra_op_thread_count", 0)
    options.inter_op_num_threads = config.number("inter_op_thread_count", 0)
    options.enable_cpu_mem_arena = config.flag("enable_mem_arena", default=True)
    options.enable_mem_pattern = config.flag("enable_mem_pattern", default=True)
    options.add_session_config_entry(_SPINNING, "0")
    for name, value in config.parameters.items():
        if name.startswith("session."):
            options.add_session_config_entry(name, value)
    return options


def execution_providers(
    config: ModelConfig, *, kind: str, device_id: int, available: Collection[str]
) -> list[Provider]:
    """Which of onnxruntime's providers run an instance, the preferred one first.

    ``kind`` is ``CPU`` or ``GPU``, as in ``instance_group``; ``available`` is what this onnxruntime was built with.

    Raises:
        ModelInvalid: an accelerator is asked for that is not at hand.
    """
    if kind == "CPU":
        # Where an accelerator such as OpenVINO would be chosen.
        if config.cpu_accelerators:
            raise ModelInvalid(f"CPU accelerators are not supported: {', '.join(config.cpu_accelerators)}")
        return [(_CPU, {})]
    if kind != "GPU":
        raise ModelInvalid(f"instances are of KIND_CPU or KIND_GPU, not KIND_{kind}")
    unknown = set(config.gpu_accelerators) - {"cuda", "tensorrt"}
    if unknown:
        raise ModelInvalid(f"GPU accelerators are not supported: {', '.join(sorted(unknown))}")
    device = {"device_id": str(device_id)}
    providers = [(_CUDA, {**config.gpu_accelerators.get("cuda", {}), **device}), (_CPU, {})]
    if "tensorrt" in config.gpu_accelerators:
        providers.insert(0, (_TENSORRT, {**_tensorrt_options(config.gpu_accelerators["tensorrt"]), **device}))
    missing = [name for name, _ in providers if name not in available]
    if missing:
        raise ModelInvalid(f"a GPU was asked for, but this onnxruntime has no {missing[0]}: install onnxruntime-gpu")
    return providers


def _tensorrt_options(parameters: Mapping[str, str]) -> dict[str, str]:
    """Translate the C++ backend's names into those of onnxruntime's TensorRT provider."""
    options: dict[str, str] = {}
    for name, value in parameters.items():
        if name == "precision_mode":
            if value not in {"FP32", "FP16", "INT8"}:
                raise ModelInvalid(f"precision_mode {value!r} is none of FP32, FP16, INT8")
            if value != "FP32":
                options[f"trt_{value.lower()}_enable"] = "1"
        elif name == "max_workspace_size_bytes":
            options["trt_max_workspace_size"] = value
        else:
            options[name if name.startswith("trt_") else f"trt_{name}"] = value
    return options


class OnnxModel:
    """One instance of a model: a graph, checked against its configuration, that runs batches."""

    def __init__(self, config: ModelConfig, graph: Path, *, kind: str, device_id: int = 0) -> None:
        """Load ``graph``.

        Raises:
            ModelInvalid: the graph is missing, broken or not as configured, or its device is not at hand.
        """
        self._config = config
        providers = execution_providers(config, kind=kind, device_id=device_id, available=ort.get_available_providers())
        options = session_options(config)
        if not graph.is_file():
            raise ModelInvalid(f"there is no graph at {graph}")
        if kind == "GPU" and hasattr(ort, "preload_dlls"):
            # CUDA and cuDNN from PyPI's wheels, where they are installed beside onnxruntime-gpu.
            ort.preload_dlls()
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=providers)
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise ModelInvalid(f"{graph}: {error}") from error
        # onnxruntime drops a provider whose libraries do not load, and one that fails while running: never silently.
        self._session.disable_fallback()
        wanted = [name for name, _ in providers]
        if self._session.get_providers() != wanted:
            raise ModelInvalid(f"{graph}: runs on {self._session.get_providers()}, asked for were {wanted}")
        batched = config.max_batch_size > 0
        _check(config.inputs, self._session.get_inputs(), "input", batched=batched)
        _check(config.outputs, self._session.get_outputs(), "output", batched=batched)
        self._output_names = [spec.name for spec in config.outputs]
        self._run_options = ort.RunOptions()
        if _ARENA_SHRINKAGE in config.parameters:
            self._run_options.add_run_config_entry(_ARENA_SHRINKAGE, config.parameters[_ARENA_SHRINKAGE])

    def run(self, requests: Sequence[Tensors]) -> list[Tensors]:
        """Compute the outputs of every request, in order: all of them in one execution where the model batches.

        Raises:
            ExecutionFault: one of the requests, or the graph, is at fault; then none has an answer.
        """
        if self._config.max_batch_size == 0 or len(requests) == 1:
            return [self._execute(request) for request in requests]
        first = self._config.inputs[0].name
        rows = [len(request[first]) for request in requests]
        return split(self._execute(concatenate(requests)), rows)

    def _execute(self, feed: Tensors) -> Tensors:
        try:
            found = self._session.run(self._output_names, feed, self._run_options)
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise ExecutionFault(str(error)) from error
        return dict(zip(self._output_names, found, strict=True))


def concatenate(requests: Sequence[Tensors]) -> Tensors:
    """Join the tensors of requests along the batch axis.

    Raises:
        ExecutionFault: their shapes do not go together.
    """
    if len(requests) == 1:
        return requests[0]
    try:
        return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    except ValueError as error:
        raise ExecutionFault(f"requests of one batch do not go together: {error}") from error


def split(outputs: Tensors, rows: Sequence[int]) -> list[Tensors]:
    """Cut outputs along the batch axis into parts of so many rows each.

    Raises:
        ExecutionFault: an output has not one row for every row of the inputs.
    """
    for name, values in outputs.items():
        if values.ndim == 0 or len(values) != sum(rows):
            raise ExecutionFault(f"output {name} has shape {values.shape} for a batch of {sum(rows)}")
    ends = np.cumsum(rows)
    return [
        {name: values[end - count : end] for name, values in outputs.items()}
        for end, count in zip(ends, rows, strict=True)
    ]


def _check(configured: Sequence[TensorSpec], graph: Sequence[Any], word: str, *, batched: bool) -> None:
    """Hold names, types and shapes of a configuration against a graph; an output need not be used."""
    found = {value.name: value for value in graph}
    names = {spec.name for spec in configured}
    if not names or not names <= set(found) or (word == "input" and names != set(found)):
        raise ModelInvalid(f"the graph's {word}s are {sorted(found)}, the configuration's {sorted(names)}")
    for spec in configured:
        value = found[spec.name]
        if value.type != spec.onnx_type:
            raise ModelInvalid(f"{word} {spec.name} is {value.type} in the graph, configured as {spec.onnx_type}")
        dims = (-1, *spec.dims) if batched else spec.dims
        # A length that is free in the graph has a name or none there.
        lengths = [length if isinstance(length, int) else -1 for length in value.shape]
        if not lengths:  # of unknown rank, or a scalar, which Triton has no word for
            continue
        if len(lengths) != len(dims) or any(a != b for a, b in zip(lengths, dims, strict=True) if -1 not in (a, b)):
            raise ModelInvalid(f"{word} {spec.name} has shape {value.shape} in the graph, configured as {list(dims)}")
        if batched and lengths[0] != -1:
            raise ModelInvalid(
                f"{word} {spec.name} has a batch axis of {lengths[0]}: free it, or set max_batch_size: 0"
            )
