"""The one door to Triton: the ensemble ``face_analysis`` over gRPC.

Tensor names and shapes are those of docs/architecture.md; a test holds them against the configuration and the graphs.
The messages and the stub are tritonclient's; its client around them, which makes objects of every tensor on its way
in and out, would cost a worker a tenth of its time.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from grpc import RpcError, StatusCode
from grpc.aio import AioRpcError, UsageError, insecure_channel
from tritonclient.grpc import service_pb2_grpc
from tritonclient.grpc.service_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelReadyRequest,
    ServerReadyRequest,
)

from visavis_client.engine import MAX_FACES
from visavis_client.errors import (
    EngineBusy,
    EngineFault,
    EngineTimeout,
    EngineUnavailable,
    PictureTooLarge,
    PictureUnreadable,
    RegionInvalid,
    VisavisError,
)
from visavis_client.faces import (
    BoundingBox,
    Face,
    ImageSize,
    Landmarks,
    ModelIdentity,
    PictureAnalysis,
    Pose,
    Template,
)

MODEL = "face_analysis"
INPUTS = {"image": ("BYTES", [1]), "max_faces": ("INT32", [1]), "region": ("INT32", [4])}
OUTPUTS = {
    "boxes": np.float32,
    "landmarks": np.float32,
    "detection_scores": np.float32,
    "pose": np.float32,
    "sharpness": np.float32,
    "embeddings": np.float32,
    "image_size": np.int32,
    "face_count": np.int32,
}
#: An encoded picture of the largest contract and some room for the rest of a message.
MAX_MESSAGE_BYTES = 64 * 2**20
#: A restarted Triton is found again within a second; a silent one is noticed.
CHANNEL = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
#: The word that a fault of the picture begins with, behind Triton's "in ensemble '…', ".
PICTURE_FAULTS: dict[str, type[VisavisError]] = {
    "picture_unreadable: ": PictureUnreadable,
    "picture_too_large: ": PictureTooLarge,
    "region_invalid: ": RegionInvalid,
}
#: What all requests have in common; the contents of the inputs are in the order of INPUTS.
_REQUEST = ModelInferRequest(
    model_name=MODEL,
    inputs=[{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in INPUTS.items()],
    outputs=[{"name": name} for name in OUTPUTS],
)
_WHOLE = bytes(4 * np.dtype(np.int32).itemsize)
_READY_TIMEOUT_S = 2.0

Rows = dict[str, npt.NDArray[np.generic]]


class TritonEngine:
    """An :class:`~visavis_client.engine.Engine` in front of a Triton server. Belongs to one event loop."""

    def __init__(self, address: str, *, model: ModelIdentity, timeout_s: float = 8.0) -> None:
        """``address`` is ``host:port`` of gRPC."""
        self._channel = insecure_channel(address, options=CHANNEL)
        self._triton = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._model = model
        self._timeout_s = timeout_s

    @property
    def model(self) -> ModelIdentity:
        """The embedder whose templates come out."""
        return self._model

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,
    ) -> PictureAnalysis:
        """See :meth:`visavis_client.engine.Engine.analyse`."""
        if not 0 <= max_faces <= MAX_FACES:
            raise ValueError(f"between 0 and {MAX_FACES} faces can be embedded, not {max_faces}")
        timeout_s = timeout_s or self._timeout_s
        request = _request(image, max_faces, region, timeout_s)
        return _analysis(await self._infer(request, timeout_s), self._model)

    async def _infer(self, request: ModelInferRequest, timeout_s: float) -> ModelInferResponse:
        try:
            return await self._triton.ModelInfer(request, timeout=timeout_s)
        except AioRpcError as error:
            raise _translate(error.code(), error.details() or "") from error
        except (RpcError, UsageError) as error:
            raise EngineUnavailable("the connection to Triton is closed") from error

    async def ready(self) -> bool:
        """Whether Triton is ready, which it says once every model is loaded and warm."""
        server, model = ServerReadyRequest(), ModelReadyRequest(name=MODEL)
        try:
            return bool(
                (await self._triton.ServerReady(server, timeout=_READY_TIMEOUT_S)).ready
                and (await self._triton.ModelReady(model, timeout=_READY_TIMEOUT_S)).ready
            )
        except (RpcError, UsageError):
            return False

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _request(image: bytes, max_faces: int, region: BoundingBox | None, timeout_s: float) -> ModelInferRequest:
    sides = _WHOLE
    if region is not None:
        pixels = np.array([region.left, region.top, region.width, region.height]).round()
        sides = pixels.astype("<i4").tobytes()
    request = ModelInferRequest()
    request.CopyFrom(_REQUEST)
    # A tensor of strings has each one's length before it.
    request.raw_input_contents.extend((struct.pack("<I", len(image)) + image, struct.pack("<i", max_faces), sides))
    request.parameters["timeout"].int64_param = int(timeout_s * 1e6)
    return request


def _analysis(answer: ModelInferResponse, model: ModelIdentity) -> PictureAnalysis:
    try:
        rows = _rows(answer)
        found, embedded = rows["face_count"].tolist()
        width, height = rows["image_size"].tolist()
        return PictureAnalysis(ImageSize(width, height), _faces(rows, found, embedded, model))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise EngineFault(f"an answer of an unexpected shape: {error}") from error


def _rows(answer: ModelInferResponse) -> Rows:
    tensors = zip(answer.outputs, answer.raw_output_contents, strict=True)
    return {each.name: np.frombuffer(raw, OUTPUTS[each.name]).reshape(each.shape) for each, raw in tensors}


def _faces(rows: Rows, found: int, embedded: int, model: ModelIdentity) -> tuple[Face, ...]:
    # As Python's numbers, all in one go: taken out of the arrays one by one they cost ten times as much.
    columns = [rows[name].tolist()[:found] for name in ("boxes", "landmarks", "detection_scores", "pose", "sharpness")]
    templates = [
        Template.from_embedding(rows["embeddings"][row], model) if row < embedded else None for row in range(found)
    ]
    return tuple(
        Face(BoundingBox(*box), Landmarks(*map(tuple, points)), score, Pose(*pose), sharpness, template)
        for box, points, score, pose, sharpness, template in zip(*columns, templates, strict=True)
    )


def _translate(status: StatusCode, text: str) -> VisavisError:
    """One leaf of the tree for whatever Triton or gRPC said."""
    for word, leaf in PICTURE_FAULTS.items():
        before, found, after = text.partition(word)
        if found and (not before or before.startswith("in ensemble")):
            return leaf(after)
    if status == StatusCode.DEADLINE_EXCEEDED or "timeout expired" in text.lower():
        return EngineTimeout("no answer from Triton in time")
    if "exceeds maximum queue size" in text.lower() or status == StatusCode.RESOURCE_EXHAUSTED:
        return EngineBusy("Triton's queue is full")
    # A killed Triton closes its socket; a starting one does not know its models yet.
    if status in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.NOT_FOUND}:
        return EngineUnavailable(f"Triton is not available: {text[:200]}")
    return EngineFault(f"Triton answered {status}: {text[:200]}")
