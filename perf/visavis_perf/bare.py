"""The models with nothing around them: what one process on one core can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType
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


def _simplejpeg(**options: Any) -> Callable[[bytes], Pixels]:
    def decode(jpeg: bytes) -> Pixels:
        picture: Pixels = simplejpeg.decode_jpeg(jpeg, colorspace="RGB", fastdct=True, fastupsample=True, **options)
        return picture

    return decode


def _opencv(jpeg: bytes) -> Pixels:
    picture: Pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    return picture


#: Ways from a JPEG to pixels that still fill the detector's frame. Which one is quickest depends on the pictures: what
#: libjpeg saves by decoding at a scale between a half and the whole, it loses by doing so without vector units.
DECODERS: Mapping[str, Callable[[bytes], Pixels]] = MappingProxyType(
    {
        "simplejpeg": _simplejpeg(),
        "simplejpeg, reduced": _simplejpeg(min_height=DETECTOR_SIDE, min_width=DETECTOR_SIDE),
        "simplejpeg, halved": _simplejpeg(min_height=DETECTOR_SIDE, min_width=DETECTOR_SIDE, min_factor=2),
        "OpenCV": _opencv,
    }
)
#: So many pictures are decoded in each way, so many times, before one is chosen.
_DECODED, _DECODED_TIMES = 8, 5


def fastest_decoder(jpegs: Sequence[bytes]) -> str:
    """Whichever of DECODERS is quickest with these pictures, by the median; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in DECODERS}
    for _ in range(_DECODED_TIMES):
        for name, decoder in DECODERS.items():
            for jpeg in jpegs[:_DECODED]:
                start = time.perf_counter()
                decoder(jpeg)
                times[name].append(time.perf_counter() - start)
    return min(times, key=lambda name: median(times[name]))


@dataclass(frozen=True, slots=True)
class Way:
    """What runs a graph, and on how many pictures at once."""

    runtime: Runtime
    batch: int = 1

    def __str__(self) -> str:
        return f"{self.runtime}, {self.batch} at once"


@dataclass(frozen=True, slots=True)
class Ways:
    """How a bare loop works; ``decoder`` is a key of DECODERS."""

    decoder: str
    detector: Way
    embedder: Way

    def __str__(self) -> str:
        return f"detector {self.detector}; embedder {self.embedder}; decoder {self.decoder}"


@dataclass(frozen=True, slots=True)
class BareResult:
    """What one process did in its time."""

    images: int
    seconds: float
    #: Seconds of the core spent in each of decode, detect and embed, as /proc counts them for the service.
    stages: tuple[float, float, float]


#: A prime: processes begin so far from one another among the pictures.
_APART = 7
#: Frames and faces that a loop goes through; BATCHES divide it.
_DISTINCT = 8
#: Pictures that a graph takes at once. Powers of two, so that each divides the largest.
BATCHES = (1, 2, 4)
_FAULT_LENGTH = 300


class BareLoop:
    """Decode, detect and embed distinct pictures on one core, and nothing else.

    No letterbox, no alignment, no copy, no queue; so no service can be quicker.
    """

    def __init__(
        self, runtimes: Sequence[Runtime], repository: Path, sets: Mapping[str, Sequence[bytes]], core: int
    ) -> None:
        """Compile both graphs with each runtime; ``core``: which of this process's cores it is bound to, by index."""
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
        cv2.setNumThreads(1)
        self._core = core
        self._sets = sets
        self._graphs: dict[Runtime, tuple[Graph, Graph]] = {}
        self._unable: dict[Runtime, str] = {}
        for runtime in runtimes:
            try:
                self._graphs[runtime] = _load_both(runtime, repository)
            except Exception as error:  # a runtime's word on a graph that it cannot compile: they share no error
                said = " ".join(f"{type(error).__name__}: {error}".split())
                self._unable[runtime] = f"{runtime} cannot run these graphs: {said[-_FAULT_LENGTH:]}"
        some = next(iter(sets.values()))
        self._frames = np.stack([frame(some[at % len(some)], DETECTOR_SIDE) for at in range(_DISTINCT)])
        self._faces = np.stack([face_crop(some[at % len(some)]) for at in range(_DISTINCT)])

    def told_unable(self) -> dict[Runtime, str]:
        """Runtimes that cannot run the graphs, and what they say."""
        return self._unable

    def fastest_decoders(self) -> dict[str, str]:
        """The quickest of DECODERS for each set."""
        return {name: fastest_decoder(jpegs) for name, jpegs in self._sets.items()}

    def keep(self, runtimes: Sequence[Runtime]) -> None:
        """Let the other runtimes' graphs go."""
        self._graphs = {runtime: graphs for runtime, graphs in self._graphs.items() if runtime in runtimes}

    def run(self, name: str, ways: Ways, begin: float, seconds: float) -> BareResult:
        """Work through a set from ``begin``, a monotonic time, for so long; until then only to warm up.

        Monotonic time is the machine's, so that processes told the same time measure the same seconds.
        """
        self._work(name, ways, begin)
        return self._work(name, ways, begin + seconds)

    def _work(self, name: str, ways: Ways, until: float) -> BareResult:
        detect, embed = self._graphs[ways.detector.runtime][0], self._graphs[ways.embedder.runtime][1]
        parts: tuple[tuple[Callable[[Any], object], Sequence[Any], int], ...] = (
            (DECODERS[ways.decoder], self._sets[name], 1),
            (detect, _batches(self._frames, ways.detector.batch), ways.detector.batch),
            (embed, _batches(self._faces, ways.embedder.batch), ways.embedder.batch),
        )
        together = max(size for _, _, size in parts)
        images, stages = 0, [0.0, 0.0, 0.0]
        start, spent = time.monotonic(), time.process_time()
        while time.monotonic() < until:
            for stage, (work, items, size) in enumerate(parts):
                for at in range(images, images + together, size):
                    work(items[(at // size + self._core * _APART) % len(items)])
                before, spent = spent, time.process_time()
                stages[stage] += spent - before
            images += together
        return BareResult(images, time.monotonic() - start, (stages[0], stages[1], stages[2]))


def _load_both(runtime: Runtime, repository: Path) -> tuple[Graph, Graph]:
    detector, embedder = (
        load(runtime, repository / model / "1" / "model.onnx") for model in ("face_detector", "face_embedder")
    )
    return detector, embedder


def _batches(rows: Pixels, size: int) -> list[Pixels]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]
