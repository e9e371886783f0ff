"""The models with nothing around them: what one process on one core can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from visavis_perf.inputs import DETECTOR_SIDE, face_crop, frame

#: uint8, RGB.
Pixels = npt.NDArray[Any]
#: Runs a graph on a batch, uint8 (n, side, side, 3), and gives its outputs by name.
Graph = Callable[[Pixels], dict[str, npt.NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library, and the precision it computes in."""

    library: str
    precision: str

    def __str__(self) -> str:
        return f"{self.library} {self.precision}"

    @classmethod
    def parse(cls, text: str) -> Runtime:
        """The reverse of ``str``."""
        library, precision = text.split(" ")
        return cls(library, precision)


def runtimes() -> list[Runtime]:
    """Those installed here; bfloat16 only where the processor has units for it."""
    found = [Runtime("onnxruntime", "float32")]
    try:
        import openvino
    except ModuleNotFoundError:
        return found
    found.append(Runtime("openvino", "float32"))
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        found.append(Runtime("openvino", "bfloat16"))
    return found


def load(runtime: Runtime, graph: Path, *, threads: int = 1) -> Graph:
    """Compile a graph of the repository, whose one input is called ``image``."""
    if runtime.library == "openvino":
        import openvino

        compiled = openvino.Core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if runtime.precision == "bfloat16" else "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
            },
        )
        names = [port.get_any_name() for port in compiled.outputs]
        request = compiled.create_infer_request()

        def infer(batch: Pixels) -> dict[str, npt.NDArray[Any]]:
            request.infer({"image": batch}, share_inputs=True)
            return {name: request.get_tensor(name).data for name in names}

        return infer
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(outputs, session.run(outputs, {"image": batch}), strict=True))


def decode(jpeg: bytes) -> Pixels:
    """JPEG to RGB, at the smallest scale of libjpeg that leaves the detector enough pixels."""
    picture: Pixels = simplejpeg.decode_jpeg(
        jpeg, colorspace="RGB", fastdct=True, fastupsample=True, min_height=DETECTOR_SIDE, min_width=DETECTOR_SIDE
    )
    return picture


def fastest_decoder(jpegs: Sequence[bytes]) -> Callable[[bytes], Pixels]:
    """libjpeg-turbo through simplejpeg, or OpenCV: whichever is quicker with these pictures."""

    def opencv(jpeg: bytes) -> Pixels:
        picture: Pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        return picture

    def cost(decoder: Callable[[bytes], Pixels]) -> float:
        times = []
        for jpeg in jpegs[:16]:
            start = time.perf_counter()
            decoder(jpeg)
            times.append(time.perf_counter() - start)
        return median(times)

    return min((decode, opencv), key=cost)


@dataclass(frozen=True, slots=True)
class BareResult:
    """What one process did in its time."""

    images: int
    seconds: float
    #: Seconds of the core spent in each of decode, detect and embed, as /proc counts them for the service.
    stages: tuple[float, float, float]


class BareLoop:
    """Decode, detect and embed distinct pictures on one core, and nothing else.

    No letterbox, no alignment, no copy, no queue; so no service can be quicker.
    """

    def __init__(self, runtime: Runtime, repository: Path, sets: Mapping[str, Sequence[bytes]], core: int) -> None:
        """Compile both graphs; ``core`` is an index into the cores of this process, which is bound to it."""
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
        cv2.setNumThreads(1)
        self._core = core
        self._sets = sets
        self._detector = load(runtime, repository / "face_detector" / "1" / "model.onnx")
        self._embedder = load(runtime, repository / "face_embedder" / "1" / "model.onnx")
        self._decoders = {name: fastest_decoder(jpegs) for name, jpegs in sets.items()}
        some = next(iter(sets.values()))[:8]
        self._frames = [frame(jpeg, DETECTOR_SIDE)[None] for jpeg in some]
        self._faces = [face_crop(jpeg)[None] for jpeg in some]

    def run(self, name: str, begin: float, seconds: float) -> BareResult:
        """Work through a set from ``begin``, a monotonic time, for so long; until then only to warm up.

        Monotonic time is the machine's, so that processes told the same time measure the same seconds.
        """
        self._work(name, begin)
        return self._work(name, begin + seconds)

    def _work(self, name: str, until: float) -> BareResult:
        parts: tuple[tuple[Callable[[Any], object], Sequence[Any]], ...] = (
            (self._decoders[name], self._sets[name]),
            (self._detector, self._frames),
            (self._embedder, self._faces),
        )
        images, stages = 0, [0.0, 0.0, 0.0]
        start, spent = time.monotonic(), time.process_time()
        while time.monotonic() < until:
            # Each process begins elsewhere, so that they do not walk through the same pictures together.
            turn = images + self._core * 7
            for stage, (work, items) in enumerate(parts):
                work(items[turn % len(items)])
                before, spent = spent, time.process_time()
                stages[stage] += spent - before
            images += 1
        return BareResult(images, time.monotonic() - start, (stages[0], stages[1], stages[2]))
