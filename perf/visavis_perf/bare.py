"""The models with nothing around them: what one process can do, for the limit and for the idle comparison."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from visavis_perf.inputs import DETECTOR_SIDE, EMBEDDER_SIDE, face_crop, frame

#: uint8, RGB.
Pixels = npt.NDArray[Any]
#: Runs a graph on a batch, uint8 (n, side, side, 3), and gives its outputs by name.
Graph = Callable[[Pixels], dict[str, npt.NDArray[Any]]]

#: Where the viewer's left eye, right eye and nose come to lie in a 112×112 face (ArcFace's usual template).
_ALIGNED = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366]], np.float32)


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
    #: Seconds spent in each of decode, detect and embed.
    stages: tuple[float, float, float]


def loop(
    runtime: Runtime, repository: Path, jpegs: Sequence[bytes], seconds: float, begin: Callable[[], object], core: int
) -> BareResult:
    """Decode, detect and embed distinct pictures on one core until the time is over.

    Nothing else is done: no letterbox, no alignment, no copy, no queue; so no service can be quicker. ``begin``
    is waited for between warm-up and measurement. ``core`` is an index into the cores of this process.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})
    cv2.setNumThreads(1)
    detector = load(runtime, repository / "face_detector" / "1" / "model.onnx")
    embedder = load(runtime, repository / "face_embedder" / "1" / "model.onnx")
    decoder = fastest_decoder(jpegs)
    frames = [frame(jpeg, DETECTOR_SIDE)[None] for jpeg in jpegs[:8]]
    faces = [face_crop(jpeg)[None] for jpeg in jpegs[:8]]
    for index in range(8):
        detector(frames[index % len(frames)])
        embedder(faces[index % len(faces)])
    begin()
    images, stages = 0, [0.0, 0.0, 0.0]
    start = now = time.perf_counter()
    while now - start < seconds:
        # Each process begins elsewhere, so that they do not walk through the same pictures together.
        turn = images + core * 7
        decoder(jpegs[turn % len(jpegs)])
        decoded = time.perf_counter()
        detector(frames[turn % len(frames)])
        detected = time.perf_counter()
        embedder(faces[turn % len(faces)])
        done = time.perf_counter()
        for stage, spent in enumerate((decoded - now, detected - decoded, done - detected)):
            stages[stage] += spent
        images, now = images + 1, done
    return BareResult(images, now - start, (stages[0], stages[1], stages[2]))


class BareService:
    """The same work as a request of the service, in this process: decode, letterbox, detect, align, embed."""

    def __init__(self, runtime: Runtime, repository: Path, *, threads: int = 1, pictures_at_once: int = 1) -> None:
        """``threads``: those of each graph, as the service's own configuration has them."""
        cv2.setNumThreads(threads)
        self._lanes = [
            tuple(
                load(runtime, repository / model / "1" / "model.onnx", threads=threads)
                for model in ("face_detector", "face_embedder")
            )
            for _ in range(pictures_at_once)
        ]
        self._pool = ThreadPoolExecutor(pictures_at_once)

    def answer(self, jpegs: Sequence[bytes]) -> list[npt.NDArray[np.float32]]:
        """Embeddings of one request's pictures, at most one for each lane, side by side."""
        if len(jpegs) == 1:
            return [self._one(0, jpegs[0])]
        return list(self._pool.map(self._one, range(len(jpegs)), jpegs))

    def _one(self, lane: int, jpeg: bytes) -> npt.NDArray[np.float32]:
        detector, embedder = self._lanes[lane]
        picture = decode(jpeg)
        height, width = picture.shape[:2]
        scale = DETECTOR_SIDE / max(height, width)
        letterbox = np.zeros((1, DETECTOR_SIDE, DETECTOR_SIDE, 3), np.uint8)
        size = (round(width * scale), round(height * scale))
        letterbox[0, : size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        points = detector(letterbox)["landmarks"][0, 0, :3].astype(np.float32) / scale
        turn = cv2.getAffineTransform(points, _ALIGNED)
        face = cv2.warpAffine(picture, turn, (EMBEDDER_SIDE, EMBEDDER_SIDE), flags=cv2.INTER_LINEAR)
        embedding: npt.NDArray[np.float32] = np.array(embedder(face[None])["embedding"][0], np.float32)
        return embedding


def idle_times_s(service: BareService, requests: Sequence[Sequence[bytes]]) -> list[float]:
    """Seconds of each request, one after another, after a few to warm up."""
    for request in requests[:5]:
        service.answer(request)
    times = []
    for request in requests:
        start = time.perf_counter()
        service.answer(request)
        times.append(time.perf_counter() - start)
    return times
