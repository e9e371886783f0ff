"""A graph with one session for each of a few batch lengths, whose tensors always lie at the same addresses.

On a card a batch of another length than the last one makes the CUDA provider plan every convolution anew, which takes
longer than the batch itself, however often both lengths were seen. So a batch is padded to the next length of a ladder,
and each length has a session of its own, whose plans stay. Its tensors are bound once: a request's rows are copied
into a buffer whose pages are locked, the card reads them there, and nothing is allocated meanwhile. Fixed addresses
are also what a CUDA graph needs (``enable_cuda_graph`` of the accelerator ``cuda``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime as ort

from .configuration import ExecutionFault, ModelConfig, ModelInvalid, Port, Tensors, TensorSpec, check, fits
from .opening import port, run_options

#: numpy's names of types, where they are not onnxruntime's.
_NUMPY = {"float": "float32", "double": "float64"}
#: The first run plans, the second may still allocate, and the third is the one that a CUDA graph is recorded from.
_PRIMING_RUNS = 3


@dataclass(frozen=True, slots=True)
class TensorDevice:
    """Where tensors lie, in onnxruntime's words: ``cpu`` or ``cuda``."""

    name: str
    number: int = 0


def ladder(longest: int) -> tuple[int, ...]:
    """Batch lengths: powers of two, and the longest."""
    lengths = [1]
    while 2 * lengths[-1] < longest:
        lengths.append(2 * lengths[-1])
    return (*lengths, longest) if longest > 1 else (1,)


def fixed(config: ModelConfig) -> bool:
    """Whether every length but the batch's is known beforehand."""
    return config.max_batch_size > 0 and all(length > 0 for spec in _specs(config) for length in spec.dims)


def _specs(config: ModelConfig) -> tuple[TensorSpec, ...]:
    return (*config.inputs, *config.outputs)


def numpy_type(onnx_type: str) -> Any:
    """numpy's type for onnxruntime's ``tensor(…)``."""
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return np.dtype(_NUMPY.get(name, name))


class BoundGraph:
    """A session for batches of exactly ``rows``."""

    def __init__(
        self,
        session: ort.InferenceSession,
        config: ModelConfig,
        rows: int,
        device: TensorDevice,
        lock_pages: Callable[[Any, int], bool],
    ) -> None:
        """Bind and run it, so that nothing is left to be done at the first request.

        Raises:
            ModelInvalid: it does not run.
        """
        self._session, self._rows = session, rows
        self._run_options = run_options(config)
        self.staged: Tensors = {
            spec.name: np.zeros((rows, *spec.dims), numpy_type(spec.onnx_type)) for spec in config.inputs
        }
        #: Whether the card reads the staged rows where they are.
        self.locked = device.name == "cuda" and all(
            lock_pages(buffer, device.number) for buffer in self.staged.values()
        )
        self._inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(buffer, device.name, device.number)
            for name, buffer in self.staged.items()
        }
        self._outputs = {
            spec.name: ort.OrtValue.ortvalue_from_shape_and_type(
                (rows, *spec.dims), numpy_type(spec.onnx_type), device.name, device.number
            )
            for spec in config.outputs
        }
        # On the processor an OrtValue is the buffer itself.
        self._copies = device.name != "cpu"
        self._binding = _bound(session, self._inputs, self._outputs)
        self._prime()

    def _prime(self) -> None:
        """Run it until a run does nothing that a later one does not.

        Raises:
            ModelInvalid: it does not run.
        """
        try:
            for _ in range(_PRIMING_RUNS):
                self.run()
        except ExecutionFault as error:
            raise ModelInvalid(f"a batch of {self._rows} cannot be computed: {error}") from error

    def run(self) -> Tensors:
        """The outputs of the staged rows, as copies.

        Raises:
            ExecutionFault: the graph, or its device, is at fault.
        """
        try:
            if self._copies:
                for name, value in self._inputs.items():
                    value.update_inplace(self.staged[name])
            self._session.run_with_iobinding(self._binding, self._run_options)
            found = {name: value.numpy() for name, value in self._outputs.items()}
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise ExecutionFault(str(error)) from error
        return found if self._copies else {name: values.copy() for name, values in found.items()}


def _bound(
    session: ort.InferenceSession, inputs: Mapping[str, ort.OrtValue], outputs: Mapping[str, ort.OrtValue]
) -> ort.IOBinding:
    """What has the session read and write these tensors wherever they lie, run after run."""
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in outputs.items():
        binding.bind_ortvalue_output(name, value)
    return binding


class FixedShapeSession:
    """A session for each length of the ladder; a batch in between is padded with whatever lay there before."""

    def __init__(
        self,
        config: ModelConfig,
        open_session: Callable[[int], ort.InferenceSession],
        device: TensorDevice,
        lock_pages: Callable[[Any, int], bool],
    ) -> None:
        """``open_session`` gives the graph's session for a batch length, ``lock_pages`` see ``pinning``.

        Raises:
            ModelInvalid: the graph is not as configured, or does not run.
        """
        self._config = config
        self._graphs: dict[int, BoundGraph] = {}
        for rows in ladder(config.max_batch_size):
            session = open_session(rows)
            self.inputs = tuple(_freed(port(value), rows) for value in session.get_inputs())
            self.outputs = tuple(_freed(port(value), rows) for value in session.get_outputs())
            check(config, self)
            self._graphs[rows] = BoundGraph(session, config, rows, device, lock_pages)
            self.session = session
        self.locked = all(graph.locked for graph in self._graphs.values())

    def compute(self, feed: Tensors) -> Tensors:
        """See ``Session``."""
        return self.compute_all([feed])

    def compute_all(self, requests: Sequence[Tensors]) -> Tensors:
        """The outputs of all rows of all requests, in order.

        Raises:
            ExecutionFault: the tensors, or the graph, are at fault.
        """
        counts = [self._checked_rows(request) for request in requests]
        rows = sum(counts)
        length = next((length for length in self._graphs if length >= rows), None)
        if length is None:
            raise ExecutionFault(f"a batch of {rows} is longer than {self._config.max_batch_size}")
        graph = self._graphs[length]
        for spec in self._config.inputs:
            at = 0
            for request, count in zip(requests, counts, strict=True):
                graph.staged[spec.name][at : at + count] = request[spec.name]
                at += count
        return {name: values[:rows] for name, values in graph.run().items()}

    def _checked_rows(self, request: Tensors) -> int:
        """The request's length; numpy would cast and repeat what does not fit."""
        lengths = set()
        for spec in self._config.inputs:
            values = request[spec.name]
            if values.dtype != numpy_type(spec.onnx_type):
                raise ExecutionFault(f"input {spec.name} is of type {values.dtype}, not {spec.onnx_type}")
            if not fits((-1, *spec.dims), values.shape):
                raise ExecutionFault(f"input {spec.name} has shape {values.shape}, not {[-1, *spec.dims]}")
            lengths.add(len(values))
        if len(lengths) != 1:
            raise ExecutionFault(f"the inputs of a request have {', '.join(map(str, sorted(lengths)))} rows")
        return lengths.pop()


def _freed(described: Port, rows: int) -> Port:
    """As it would be with a free batch axis: this session alone has it fixed."""
    if described.lengths and described.lengths[0] == rows:
        return replace(described, lengths=(-1, *described.lengths[1:]))
    return described
