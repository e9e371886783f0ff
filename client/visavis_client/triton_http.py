"""The door to Triton over HTTP, with Triton's extension for binary tensors.

A proxy worker is Python on few cores, and gRPC's own threads hand each answer on several times before the event loop
has it: a picture costs a worker 1.2 core-ms by gRPC and half a one by this (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import chain

import orjson

from visavis_client.address import TritonAddress
from visavis_client.engine import check_max_faces
from visavis_client.errors import EngineError, EngineFault, EngineTimeout, EngineUnavailable, VisavisError
from visavis_client.faces import BoundingBox, ModelIdentity, PictureAnalysis
from visavis_client.http_connection import Answer, BrokenUnheard, HttpConnection
from visavis_client.triton_tensors import INPUTS, MODEL, Tensor, analysis_of, contents_of, fault_in

#: Where the JSON ends and the tensors begin, in requests and answers.
JSON_BYTES = "Inference-Header-Content-Length"
_READY_TIMEOUT_S = 2.0
#: A connection at whose other end nobody is any more is found out within 5 s, or each would cost a request its time.
_KEEPALIVE = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}
#: A connection is given up between half of it and the whole. A balancer of connections, such as a Service of
#: Kubernetes, chooses among its Tritons for new ones alone: one that was added has its share after so long. A new
#: connection takes less than a millisecond, so that this costs nothing; at the same moment all of them would.
_OLDEST_S = 240.0


class TritonHttpEngine:
    """An :class:`~visavis_client.engine.Engine` in front of a Triton server. Belongs to one event loop.

    As many connections as there are pictures under way: Triton answers in order on each of them.
    """

    def __init__(
        self, address: str, *, model: ModelIdentity, timeout_s: float = 8.0, oldest_s: float = _OLDEST_S
    ) -> None:
        """``address`` is ``http://host:port``; a connection is asked for the last time when it is ``oldest_s`` old."""
        self._address = TritonAddress.parse(address)
        self._head_end = f" HTTP/1.1\r\nHost: {self._address.authority}\r\n".encode("ascii")
        self._model = model
        self._timeout_s = timeout_s
        self._oldest_s = oldest_s
        self._idle: list[HttpConnection] = []
        self._all: set[HttpConnection] = set()
        self._is_closed = False

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
        contents = contents_of(image, max_faces, region)
        sizes = [sum(map(len, pieces)) for pieces in contents]
        question = _question(sizes, timeout_s)
        head = f"{JSON_BYTES}: {len(question)}\r\nContent-Length: {len(question) + sum(sizes)}\r\n\r\n"
        body = (question, *chain.from_iterable(contents))
        answer = await self._ask(f"POST /v2/models/{MODEL}/infer", timeout_s, head.encode("ascii"), *body)
        if answer.status != HTTPStatus.OK:
            raise _translate(answer)
        return analysis_of(_outputs(answer), self._model)

    async def ready(self) -> bool:
        """Whether Triton is ready, which it says once every model is loaded and warm."""
        try:
            for path in ("/v2/health/ready", f"/v2/models/{MODEL}/ready"):
                if (await self._ask(f"GET {path}", _READY_TIMEOUT_S, b"\r\n")).status != HTTPStatus.OK:
                    return False
        except EngineError:
            return False
        return True

    async def close(self) -> None:
        """Close the connections; answers that are still awaited come no more."""
        self._is_closed = True
        for connection in list(self._all):
            connection.abort()

    async def _ask(self, line: str, timeout_s: float, *rest: bytes) -> Answer:
        """The answer to a request of that line; ``rest``: the end of its head, and its body."""
        if self._is_closed:
            raise EngineUnavailable("the connection to Triton is closed")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer_to((line.encode("ascii"), self._head_end, *rest))
        except TimeoutError as error:
            raise EngineTimeout("no answer from Triton in time") from error
        except OSError as error:
            raise EngineUnavailable(f"Triton is not available: {error}") from error

    async def _answer_to(self, message: Sequence[bytes]) -> Answer:
        """Sent a second time only where Triton closed a kept connection under it: an analysis changes nothing there."""
        if (kept := self._kept()) is not None:
            try:
                return await kept.ask(message)
            except BrokenUnheard:
                if self._is_closed:
                    raise
        return await (await self._connect()).ask(message)

    def _kept(self) -> HttpConnection | None:
        """An idle connection that is not too old to be asked; those that are go."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_over():
                return connection
            connection.abort()
        return None

    async def _connect(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        # Not for a secret: so that connections that were made together do not end together.
        until = loop.time() + self._oldest_s * random.uniform(0.5, 1.0)  # noqa: S311
        transport, connection = await loop.create_connection(
            lambda: HttpConnection(self._idle, self._all, until), self._address.host, self._address.port
        )
        _watch(transport.get_extra_info("socket"))
        return connection


def _watch(connected: socket.socket) -> None:
    """Let the system ask from time to time whether the other end is still there; not every one has all the options."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _question(sizes: Iterable[int], timeout_s: float) -> bytes:
    inputs = [
        {"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": size}}
        for (name, (kind, shape)), size in zip(INPUTS.items(), sizes, strict=True)
    ]
    return orjson.dumps(
        {"parameters": {"timeout": int(timeout_s * 1e6), "binary_data_output": True}, "inputs": inputs},
    )


def _outputs(answer: Answer) -> list[Tensor]:
    """Raises EngineFault: it is not an answer of Triton's, or its tensors did not come as bytes."""
    try:
        at = int(answer.headers[JSON_BYTES.lower()])
        tensors = []
        for output in orjson.loads(answer.body[:at])["outputs"]:
            begin, at = at, at + output["parameters"]["binary_data_size"]
            tensors.append((output["name"], output["shape"], answer.body[begin:at]))
        return tensors
    except (ValueError, TypeError, LookupError) as error:
        raise EngineFault(f"an answer of an unexpected form: {error!r}"[:200]) from error


def _translate(answer: Answer) -> VisavisError:
    """One leaf of the tree for whatever Triton said."""
    try:
        text = str(orjson.loads(answer.body)["error"])
    except (ValueError, TypeError, LookupError):
        text = answer.body[:200].decode("utf-8", "replace")
    fault = fault_in(text)
    if fault is not None:
        return fault
    # A starting Triton does not know its models yet; 499 is its word for a request that was cancelled.
    if answer.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.NOT_FOUND, 499}:
        return EngineUnavailable(f"Triton is not available: {text[:200]}")
    return EngineFault(f"Triton answered {answer.status}: {text[:200]}")
