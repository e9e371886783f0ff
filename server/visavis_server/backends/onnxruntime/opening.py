"""Opening a graph in onnxruntime as a configuration asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort

from .configuration import ModelConfig, ModelInvalid, Port
from .placement import RECORDED
from .providers import execution_providers

#: ``optimization { graph { level } }``; whatever else stands there means everything.
_GRAPH_LEVELS: Mapping[int, ort.GraphOptimizationLevel] = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}

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


def run_options(config: ModelConfig) -> ort.RunOptions:
    """What holds for every execution."""
    options = ort.RunOptions()
    if _ARENA_SHRINKAGE in config.parameters:
        options.add_run_config_entry(_ARENA_SHRINKAGE, config.parameters[_ARENA_SHRINKAGE])
    return options


def open_session(
    config: ModelConfig, graph: Path, *, kind: str, device_id: int, lengths: Mapping[str, int] | None = None
) -> ort.InferenceSession:
    """Load ``graph``; ``lengths`` fixes free axes by their names in the graph.

    Raises:
        ModelInvalid: the graph is broken, or its device is not at hand.
    """
    providers = execution_providers(config, kind=kind, device_id=device_id, available=ort.get_available_providers())
    options = session_options(config)
    for axis, length in (lengths or {}).items():
        options.add_free_dimension_override_by_name(axis, length)
    if kind == "GPU":
        options.add_session_config_entry(RECORDED, "1")
        if hasattr(ort, "preload_dlls"):
            # CUDA and cuDNN from PyPI's wheels, where they are installed beside onnxruntime-gpu.
            ort.preload_dlls()
    try:
        session = ort.InferenceSession(str(graph), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common root of their own
        raise ModelInvalid(f"{graph}: {error}") from error
    # onnxruntime drops a provider whose libraries do not load, and one that fails while running: never silently.
    session.disable_fallback()
    wanted = [name for name, _ in providers]
    if session.get_providers() != wanted:
        raise ModelInvalid(f"{graph}: runs on {session.get_providers()}, asked for were {wanted}")
    return session


def batch_axes(graph: Path) -> frozenset[str]:
    """The names of the inputs' free first axes; an axis without a name is not among them.

    Raises:
        ModelInvalid: the graph is broken.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common root of their own
        raise ModelInvalid(f"{graph}: {error}") from error
    return frozenset(
        value.shape[0] for value in session.get_inputs() if value.shape and isinstance(value.shape[0], str)
    )


def port(value: Any) -> Port:
    """onnxruntime's description; a length that is free in the graph has a name or none there."""
    return Port(value.name, value.type, tuple(length if isinstance(length, int) else -1 for length in value.shape))
