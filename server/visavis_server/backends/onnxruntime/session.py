"""A model served from a Triton model configuration, by onnxruntime or OpenVINO; knows nothing of Triton itself.

Runs under numpy 1 and 2. Imports its neighbours by relation: Triton's process has a copy of them, outside any package.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from .configuration import ExecutionFault, ModelConfig, ModelInvalid, Port, Session, Tensors, check
from .openvino_session import OpenVinoSession

Provider = tuple[str, dict[str, str]]

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


class OnnxRuntimeSession:
    """A graph in onnxruntime."""

    def __init__(self, config: ModelConfig, graph: Path, *, kind: str, device_id: int) -> None:
        """Load ``graph``.

        Raises:
            ModelInvalid: the graph is broken, or its device is not at hand.
        """
        providers = execution_providers(config, kind=kind, device_id=device_id, available=ort.get_available_providers())
        options = session_options(config)
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
        self.inputs = tuple(_port(value) for value in self._session.get_inputs())
        self.outputs = tuple(_port(value) for value in self._session.get_outputs())
        self._names = [spec.name for spec in config.outputs]
        self._run_options = ort.RunOptions()
        if _ARENA_SHRINKAGE in config.parameters:
            self._run_options.add_run_config_entry(_ARENA_SHRINKAGE, config.parameters[_ARENA_SHRINKAGE])

    def compute(self, feed: Tensors) -> Tensors:
        """See ``Session``."""
        try:
            found = self._session.run(self._names, feed, self._run_options)
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise ExecutionFault(str(error)) from error
        return dict(zip(self._names, found, strict=True))


def _port(value: Any) -> Port:
    """onnxruntime's description; a length that is free in the graph has a name or none there."""
    return Port(value.name, value.type, tuple(length if isinstance(length, int) else -1 for length in value.shape))


class OnnxModel:
    """One instance of a model: a graph, checked against its configuration, that runs batches."""

    def __init__(self, config: ModelConfig, graph: Path, *, kind: str, device_id: int = 0) -> None:
        """Load ``graph``.

        Raises:
            ModelInvalid: the graph is missing, broken or not as configured, or what shall run it is not at hand.
        """
        self._config = config
        if not graph.is_file():
            raise ModelInvalid(f"there is no graph at {graph}")
        self._session: Session
        if kind == "CPU" and config.cpu_accelerators:
            self._session = OpenVinoSession(config, graph)
        else:
            self._session = OnnxRuntimeSession(config, graph, kind=kind, device_id=device_id)
        check(config, self._session)

    def run(self, requests: Sequence[Tensors]) -> list[Tensors]:
        """Compute the outputs of every request, in order: all of them in one execution where the model batches.

        Raises:
            ExecutionFault: one of the requests, or the graph, is at fault; then none has an answer.
        """
        if self._config.max_batch_size == 0 or len(requests) == 1:
            return [self._session.compute(request) for request in requests]
        first = self._config.inputs[0].name
        rows = [len(request[first]) for request in requests]
        return split(self._session.compute(concatenate(requests)), rows)


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
