"""Whatever Triton or gRPC says becomes one leaf of the error tree."""

from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest
from grpc import StatusCode
from tritonclient.grpc.service_pb2 import ModelInferResponse

from visavis_client import errors
from visavis_client.faces import BoundingBox, ImageSize, Landmarks, ModelIdentity, Pose
from visavis_client.triton import TritonEngine, _analysis, _request, _translate
from visavis_client.triton_tensors import contents_of

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
        ("in ensemble 'face_analysis', Stub process 'a_0_0' is not healthy.", "INTERNAL", errors.EngineUnavailable),
        ("Socket closed", "UNAVAILABLE", errors.EngineUnavailable),
        ("Request for unknown model: 'face_analysis' is not found", "NOT_FOUND", errors.EngineUnavailable),
        ("something else: picture_unreadable: no", "INTERNAL", errors.EngineFault),
    ],
)
def test_every_answer_has_its_leaf(text: str, status: str, leaf: type[errors.VisavisError]) -> None:
    assert type(_translate(StatusCode[status], text)) is leaf


def test_a_request_holds_the_picture_as_it_came_and_a_region_rounded_to_pixels() -> None:
    request = _request(contents_of(b"picture", 3, BoundingBox(1.4, 2.6, 10, 20)), timeout_s=0.5)
    image, max_faces, region = request.raw_input_contents
    assert image == b"\x07\0\0\0picture"
    assert max_faces == b"\x03\0\0\0"
    assert region == b"\x01\0\0\0\x03\0\0\0\x0a\0\0\0\x14\0\0\0"
    assert request.parameters["timeout"].int64_param == 500_000


def test_requests_share_nothing_of_their_contents() -> None:
    first, second = (_request(contents_of(picture, 1, None), timeout_s=1) for picture in (b"a", b"bc"))
    assert [len(request.raw_input_contents) for request in (first, second)] == [3, 3]
    assert first.raw_input_contents[0][4:] == b"a"
    assert second.raw_input_contents[2] == bytes(16)


def answer(**changed: np.ndarray) -> ModelInferResponse:
    """Of a picture with two faces, of which the first was embedded; in another order than asked for."""
    tensors = {
        "face_count": np.array([2, 1], np.int32),
        "image_size": np.array([640, 480], np.int32),
        "embeddings": np.array([[3, 4]], np.float32),
        "boxes": np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32),
        "landmarks": np.arange(20, dtype=np.float32).reshape(2, 5, 2),
        "detection_scores": np.array([0.75, 0.5], np.float32),
        "pose": np.array([[1, 2, 3], [4, 5, 6]], np.float32),
        "sharpness": np.array([0.25, 0.125], np.float32),
    } | changed
    return ModelInferResponse(
        outputs=[{"name": name, "shape": rows.shape} for name, rows in tensors.items()],
        raw_output_contents=[rows.tobytes() for rows in tensors.values()],
    )


def test_an_answer_becomes_its_faces_with_a_template_where_one_was_made() -> None:
    analysis = _analysis(answer(), MODEL)
    assert analysis.image_size == ImageSize(640, 480)
    first, second = analysis.faces
    assert first.box == BoundingBox(1.0, 2.0, 30.0, 40.0)
    assert second.landmarks == Landmarks((10.0, 11.0), (12.0, 13.0), (14.0, 15.0), (16.0, 17.0), (18.0, 19.0))
    assert second.pose == Pose(4.0, 5.0, 6.0)
    assert (second.detection_score, second.sharpness) == (0.5, 0.125)
    assert first.template is not None
    assert first.template.embedding().tolist() == pytest.approx([3, 4])
    assert first.template.model == MODEL
    assert second.template is None


def test_rows_past_the_count_are_no_faces() -> None:
    assert _analysis(answer(face_count=np.array([0, 0], np.int32)), MODEL).faces == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"face_count": np.array([3, 1], np.int32)},
        {"face_count": np.array([2, 2], np.int32)},
        {"face_count": np.array([2], np.int32)},
        {"boxes": np.zeros((2, 5), np.float32)},
        {"sharpness": np.zeros(1, np.float32)},
        {"embeddings": np.zeros((1, 2), np.float32)},
        {"image_size": np.array([0, 480], np.int32)},
        {"another": np.zeros(1, np.float32)},
    ],
)
def test_an_answer_of_another_shape_is_the_engines_fault(changed: dict[str, np.ndarray]) -> None:
    with pytest.raises(errors.EngineFault, match="unexpected shape"):
        _analysis(answer(**changed), MODEL)


@pytest.mark.parametrize("outputs", [0, 7])
def test_an_answer_with_too_little_in_it_is_the_engines_fault(outputs: int) -> None:
    cut = answer()
    del cut.outputs[outputs:]
    del cut.raw_output_contents[outputs:]
    with pytest.raises(errors.EngineFault):
        _analysis(cut, MODEL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_absent_triton_is_unavailable_and_not_ready() -> None:
    async def ask() -> None:
        engine = TritonEngine(f"127.0.0.1:{free_port()}", model=MODEL)
        assert not await engine.ready()
        with pytest.raises(errors.EngineUnavailable):
            await engine.analyse(b"x", timeout_s=20)
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
