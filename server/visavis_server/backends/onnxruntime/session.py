"""A model served from a Triton model configuration, by onnxruntime or OpenVINO; knows nothing of Triton itself.

Runs under numpy 1 and 2. Imports its neighbours by relation: Triton's process has a copy of them, outside any package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .binding import FixedShapeSession, TensorDevice, fixed, numpy_type
from .configuration import ExecutionFault, ModelConfig, ModelInvalid, Session, Tensors, check
from .opening import batch_axes, open_session, port, run_options
from .openvino_session import OpenVinoSession
from .pinning import lock_pages
from .placement import Remark, nodes_on_the_processor, remark

#: Of the model: whether batches are padded to a few lengths. On a GPU they are, unless it says 0 or TensorRT serves.
_FIXED_SHAPES = "fixed_shapes"
_CUDA_GRAPH = "enable_cuda_graph"


class OnnxRuntimeSession:
    """A graph in onnxruntime, for batches of any length."""

    def __init__(self, config: ModelConfig, graph: Path, *, kind: str, device_id: int) -> None:
        """Load ``graph``.

        Raises:
            ModelInvalid: the graph is broken, or its device is not at hand.
        """
        self.session = open_session(config, graph, kind=kind, device_id=device_id)
        self.inputs = tuple(port(value) for value in self.session.get_inputs())
        self.outputs = tuple(port(value) for value in self.session.get_outputs())
        self._names = [spec.name for spec in config.outputs]
        self._run_options = run_options(config)

    def compute(self, feed: Tensors) -> Tensors:
        """See ``Session``."""
        try:
            found = self.session.run(self._names, feed, self._run_options)
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise ExecutionFault(str(error)) from error
        return dict(zip(self._names, found, strict=True))


def has_fixed_shapes(config: ModelConfig, *, kind: str) -> bool:
    """Whether batches are padded to a few lengths.

    Raises:
        ModelInvalid: they shall be and cannot, or a CUDA graph is asked for without them.
    """
    by_itself = kind == "GPU" and "tensorrt" not in config.gpu_accelerators and fixed(config)
    wanted = config.flag(_FIXED_SHAPES, default=by_itself)
    if wanted and not fixed(config):
        raise ModelInvalid(f"parameter {_FIXED_SHAPES}: only the batch axis may be free, and max_batch_size is above 0")
    recorded = config.gpu_accelerators.get("cuda", {}).get(_CUDA_GRAPH, "0").lower() in {"1", "true"}
    if kind == "GPU" and recorded and not wanted:
        raise ModelInvalid(f"{_CUDA_GRAPH} needs tensors at fixed addresses: {_FIXED_SHAPES} must be 1")
    return wanted


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
        #: For the log, once.
        self.remarks: list[Remark] = []
        self._session: Session
        if kind == "CPU" and config.cpu_accelerators:
            self._session = OpenVinoSession(config, graph)
        elif has_fixed_shapes(config, kind=kind):
            self._session = self._fixed(graph, kind, device_id)
        else:
            self._session = OnnxRuntimeSession(config, graph, kind=kind, device_id=device_id)
            if kind == "GPU":
                self.remarks.append(remark(nodes_on_the_processor(self._session.session)))
        check(config, self._session)

    def _fixed(self, graph: Path, kind: str, device_id: int) -> FixedShapeSession:
        axes = batch_axes(graph)
        found = FixedShapeSession(
            self._config,
            lambda rows: open_session(
                self._config, graph, kind=kind, device_id=device_id, lengths=dict.fromkeys(axes, rows)
            ),
            TensorDevice("cuda", device_id) if kind == "GPU" else TensorDevice("cpu"),
            lock_pages,
        )
        if kind == "GPU":
            self.remarks.append(remark(nodes_on_the_processor(found.session)))
            if not found.locked:
                self.remarks.append(
                    Remark("warn", "pages could not be locked: the driver copies every batch once more")
                )
        return found

    def run(self, requests: Sequence[Tensors]) -> list[Tensors]:
        """Compute the outputs of every request, in order: all of them in one execution where the model batches.

        Raises:
            ExecutionFault: one of the requests, or the graph, is at fault; then none has an answer.
        """
        if self._config.max_batch_size == 0 or len(requests) == 1:
            return [self._session.compute(request) for request in requests]
        first = self._config.inputs[0].name
        rows = [len(request[first]) for request in requests]
        if isinstance(self._session, FixedShapeSession):
            return split(self._session.compute_all(requests), rows)
        return split(self._session.compute(concatenate(requests)), rows)

    def try_out(self) -> None:
        """Compute one row of zeros, with a length of one wherever it is free.

        Raises:
            ExecutionFault: it fails, and no request is to blame.
        """
        batch = (1,) if self._config.max_batch_size else ()
        self._session.compute(
            {
                spec.name: np.zeros((*batch, *map(abs, spec.dims)), numpy_type(spec.onnx_type))
                for spec in self._config.inputs
            }
        )


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
