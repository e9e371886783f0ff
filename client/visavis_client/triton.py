"""The one door to Triton: the ensemble ``face_analysis`` over gRPC.

Tensor names and shapes are those of docs/architecture.md; a test holds them against the configuration and the graphs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from grpc import RpcError, StatusCode
from grpc.aio import UsageError
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

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
INPUTS = ("image", "max_faces", "region")
OUTPUTS = (
    "boxes",
    "landmarks",
    "detection_scores",
    "pose",
    "sharpness",
    "embeddings",
    "image_size",
    "face_count",
)
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
_WHOLE = np.zeros(4, np.int32)

Rows = dict[str, npt.NDArray[np.float32]]


class TritonEngine:
    """An :class:`~visavis_client.engine.Engine` in front of a Triton server. Belongs to one event loop."""

    def __init__(self, address: str, *, model: ModelIdentity, timeout_s: float = 8.0) -> None:
        """``address`` is ``host:port`` of gRPC."""
        self._client = InferenceServerClient(address, channel_args=CHANNEL)
        self._model = model
        self._timeout_s = timeout_s
        self._outputs = [InferRequestedOutput(name) for name in OUTPUTS]

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
        inputs = _inputs(image, max_faces, region)
        return _analysis(await self._infer(inputs, timeout_s or self._timeout_s), self._model)

    async def _infer(self, inputs: list[InferInput], timeout_s: float) -> InferResult:
        try:
            return await self._client.infer(
                MODEL, inputs, outputs=self._outputs, client_timeout=timeout_s, timeout=int(timeout_s * 1e6)
            )
        except InferenceServerException as error:
            raise _translate(error) from error
        except (RpcError, UsageError) as error:
            raise EngineUnavailable("the connection to Triton is closed") from error

    async def ready(self) -> bool:
        """Whether Triton is ready, which it says once every model is loaded and warm."""
        try:
            return bool(
                await self._client.is_server_ready(client_timeout=2.0)
                and await self._client.is_model_ready(MODEL, client_timeout=2.0)
            )
        except (InferenceServerException, RpcError, UsageError):
            return False

    async def close(self) -> None:
        """Close the channel."""
        await self._client.close()


def _inputs(image: bytes, max_faces: int, region: BoundingBox | None) -> list[InferInput]:
    sides = _WHOLE
    if region is not None:
        sides = np.array([region.left, region.top, region.width, region.height]).round().astype(np.int32)
    tensors = []
    for name, value, kind in (
        ("image", np.array([image], dtype=np.object_), "BYTES"),
        ("max_faces", np.array([max_faces], np.int32), "INT32"),
        ("region", sides, "INT32"),
    ):
        tensor = InferInput(name, list(value.shape), kind)
        tensor.set_data_from_numpy(value)
        tensors.append(tensor)
    return tensors


def _analysis(result: InferResult, model: ModelIdentity) -> PictureAnalysis:
    rows: Rows = {name: result.as_numpy(name) for name in OUTPUTS}
    try:
        found, embedded = (int(count) for count in rows["face_count"])
        width, height = (int(side) for side in rows["image_size"])
        faces = tuple(_face(rows, row, model if row < embedded else None) for row in range(found))
        return PictureAnalysis(ImageSize(width, height), faces)
    except (ValueError, TypeError, IndexError) as error:
        raise EngineFault(f"an answer of an unexpected shape: {error}") from error


def _face(rows: Rows, row: int, model: ModelIdentity | None) -> Face:
    return Face(
        BoundingBox(*(float(side) for side in rows["boxes"][row])),
        Landmarks.from_rows(rows["landmarks"][row]),
        float(rows["detection_scores"][row]),
        Pose(*(float(angle) for angle in rows["pose"][row])),
        float(rows["sharpness"][row]),
        Template.from_embedding(rows["embeddings"][row], model) if model is not None else None,
    )


def _translate(error: InferenceServerException) -> VisavisError:
    """One leaf of the tree for whatever Triton or gRPC said."""
    text = str(error.message())
    for word, leaf in PICTURE_FAULTS.items():
        before, found, after = text.partition(word)
        if found and (not before or before.startswith("in ensemble")):
            return leaf(after)
    status = str(error.status())
    if status == str(StatusCode.DEADLINE_EXCEEDED) or "timeout expired" in text.lower():
        return EngineTimeout("no answer from Triton in time")
    if "exceeds maximum queue size" in text.lower() or status == str(StatusCode.RESOURCE_EXHAUSTED):
        return EngineBusy("Triton's queue is full")
    # A killed Triton closes its socket; a starting one does not know its models yet.
    if status in {str(StatusCode.UNAVAILABLE), str(StatusCode.CANCELLED), str(StatusCode.NOT_FOUND)}:
        return EngineUnavailable(f"Triton is not available: {text[:200]}")
    return EngineFault(f"Triton answered {status}: {text[:200]}")
