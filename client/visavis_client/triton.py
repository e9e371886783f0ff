"""The door to Triton over gRPC.

The messages and the stub are tritonclient's; its client around them, which makes objects of every tensor on its way
in and out, would cost a worker a tenth of its time.
"""

from __future__ import annotations

from grpc import RpcError, StatusCode
from grpc.aio import AioRpcError, UsageError, insecure_channel
from tritonclient.grpc import service_pb2_grpc
from tritonclient.grpc.service_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelReadyRequest,
    ServerReadyRequest,
)

from visavis_client.engine import check_max_faces
from visavis_client.errors import EngineBusy, EngineFault, EngineTimeout, EngineUnavailable, VisavisError
from visavis_client.faces import BoundingBox, ModelIdentity, PictureAnalysis
from visavis_client.triton_tensors import INPUTS, MAX_MESSAGE_BYTES, MODEL, OUTPUTS, analysis_of, contents_of, fault_in

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
#: What all requests have in common.
_REQUEST = ModelInferRequest(
    model_name=MODEL,
    inputs=[{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in INPUTS.items()],
    outputs=[{"name": name} for name in OUTPUTS],
)
_READY_TIMEOUT_S = 2.0


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
        check_max_faces(max_faces)
        timeout_s = timeout_s or self._timeout_s
        answer = await self._infer(_request(contents_of(image, max_faces, region), timeout_s), timeout_s)
        return _analysis(answer, self._model)

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


def _request(contents: tuple[tuple[bytes, ...], ...], timeout_s: float) -> ModelInferRequest:
    request = ModelInferRequest()
    request.CopyFrom(_REQUEST)
    request.raw_input_contents.extend(map(b"".join, contents))
    request.parameters["timeout"].int64_param = int(timeout_s * 1e6)
    return request


def _analysis(answer: ModelInferResponse, model: ModelIdentity) -> PictureAnalysis:
    outputs = zip(answer.outputs, answer.raw_output_contents, strict=False)
    return analysis_of(((tensor.name, tensor.shape, raw) for tensor, raw in outputs), model)


def _translate(status: StatusCode, text: str) -> VisavisError:
    """One leaf of the tree for whatever Triton or gRPC said."""
    fault = fault_in(text)
    if fault is not None:
        return fault
    if status == StatusCode.DEADLINE_EXCEEDED:
        return EngineTimeout("no answer from Triton in time")
    if status == StatusCode.RESOURCE_EXHAUSTED:
        return EngineBusy("Triton's queue is full")
    # A killed Triton closes its socket; a starting one does not know its models yet.
    if status in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.NOT_FOUND}:
        return EngineUnavailable(f"Triton is not available: {text[:200]}")
    return EngineFault(f"Triton answered {status}: {text[:200]}")
