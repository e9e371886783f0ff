"""Whatever Triton or gRPC says becomes one leaf of the error tree."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tritonclient.utils import InferenceServerException

from visavis_client import errors
from visavis_client.faces import BoundingBox, ModelIdentity
from visavis_client.triton import TritonEngine, _inputs, _translate

MODEL = ModelIdentity("test-1")


@pytest.mark.parametrize(
    ("text", "status", "leaf"),
    [
        (
            "in ensemble 'face_analysis', picture_unreadable: a broken JPEG",
            "INVALID_ARGUMENT",
            errors.PictureUnreadable,
        ),
        ("in ensemble 'face_analysis', picture_too_large: 9x9", "INVALID_ARGUMENT", errors.PictureTooLarge),
        ("in ensemble 'face_analysis', region_invalid: (1, 2)", "INVALID_ARGUMENT", errors.RegionInvalid),
        ("Deadline Exceeded", "DEADLINE_EXCEEDED", errors.EngineTimeout),
        ("in ensemble 'face_analysis', Request timeout expired", "UNAVAILABLE", errors.EngineTimeout),
        ("in ensemble 'face_analysis', Exceeds maximum queue size", "UNAVAILABLE", errors.EngineBusy),
        ("Socket closed", "UNAVAILABLE", errors.EngineUnavailable),
        ("Request for unknown model: 'face_analysis' is not found", "NOT_FOUND", errors.EngineUnavailable),
        ("something else: picture_unreadable: no", "INTERNAL", errors.EngineFault),
    ],
)
def test_every_answer_has_its_leaf(text: str, status: str, leaf: type[errors.VisavisError]) -> None:
    found = _translate(InferenceServerException(text, f"StatusCode.{status}"))
    assert type(found) is leaf


def test_a_region_is_rounded_to_pixels() -> None:
    region = _inputs(b"x", 1, BoundingBox(1.4, 2.6, 10, 20))[2]
    assert region.shape() == [4]
    assert region._get_content() == b"\x01\0\0\0\x03\0\0\0\x0a\0\0\0\x14\0\0\0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_absent_triton_is_unavailable_and_not_ready() -> None:
    async def ask() -> None:
        engine = TritonEngine(f"127.0.0.1:{free_port()}", model=MODEL)
        assert not await engine.ready()
        with pytest.raises(errors.EngineUnavailable):
            await engine.analyse(b"x", timeout_s=2)
        await engine.close()

    asyncio.run(ask())


def test_a_silent_triton_times_out() -> None:
    async def ask() -> None:
        server = await asyncio.start_server(lambda reader, writer: asyncio.sleep(9), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        engine = TritonEngine(f"127.0.0.1:{port}", model=MODEL)
        with pytest.raises((errors.EngineTimeout, errors.EngineUnavailable)):
            await engine.analyse(b"x", timeout_s=0.3)
        await engine.close()
        server.close()

    asyncio.run(ask())


@pytest.mark.parametrize("faces", [-1, 33])
def test_an_impossible_number_of_faces_is_refused(faces: int) -> None:
    async def ask() -> None:
        engine = TritonEngine("127.0.0.1:1", model=MODEL)
        with pytest.raises(ValueError, match="faces"):
            await engine.analyse(b"x", max_faces=faces)
        await engine.close()

    asyncio.run(ask())
