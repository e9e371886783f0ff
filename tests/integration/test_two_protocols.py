"""Whether Triton is asked by gRPC or by HTTP, the same picture has the same answer."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from running import RunningService, start_service

from visavis_client import BoundingBox, Engine, Face, PictureAnalysis
from visavis_client.errors import EngineTimeout, PictureUnreadable, RegionInvalid, VisavisError
from visavis_client.faces import ModelIdentity
from visavis_client.opening import open_engine

Result = TypeVar("Result")
MODEL = ModelIdentity("under-test")


def by_both(service: RunningService, work: Callable[[Engine], Awaitable[Result]]) -> list[Result]:
    """What each of them gives: gRPC, HTTP."""

    async def run(address: str) -> Result:
        engine = open_engine(address, model=MODEL, timeout_s=30)
        try:
            assert await engine.ready()
            return await work(engine)
        finally:
            await engine.close()

    return [asyncio.run(run(address)) for address in (service.grpc, f"http://{service.http}")]


def seen(faces: tuple[Face, ...]) -> list[object]:
    """A face without its template, which compares by identity, and the template's numbers."""
    return [
        (
            face.box,
            face.landmarks,
            face.detection_score,
            face.pose,
            face.sharpness,
            face.template and face.template.norm,
        )
        for face in faces
    ]


@pytest.mark.parametrize("max_faces", [0, 1, 3])
def test_every_number_of_an_answer_is_the_same(
    service: RunningService, scene: Callable[[str], Path], max_faces: int
) -> None:
    picture = scene("compreface/013_4.jpg").read_bytes()

    async def analyse(engine: Engine) -> PictureAnalysis:
        return await engine.analyse(picture, max_faces=max_faces)

    one, other = by_both(service, analyse)
    assert len(one.faces) == 4
    assert sum(face.template is not None for face in one.faces) == max_faces
    assert one.image_size == other.image_size
    assert seen(one.faces) == seen(other.faces)


@pytest.mark.parametrize(
    ("picture", "region", "leaf"),
    [
        (b"broken", None, PictureUnreadable),
        (b"", None, PictureUnreadable),
        (None, BoundingBox(5000, 5000, 10, 10), RegionInvalid),
    ],
)
def test_a_fault_of_the_picture_is_the_same_leaf(
    service: RunningService,
    portraits: dict[str, bytes],
    picture: bytes | None,
    region: BoundingBox | None,
    leaf: type[VisavisError],
) -> None:
    async def fail(engine: Engine) -> str:
        with pytest.raises(leaf) as raised:
            await engine.analyse(portraits["hopper"] if picture is None else picture, region=region)
        return str(raised.value)

    one, other = by_both(service, fail)
    assert one == other


def test_a_deadline_that_passes_is_a_timeout_and_spoils_no_other_answer(
    service: RunningService, portraits: dict[str, bytes]
) -> None:
    async def hurry(engine: Engine) -> tuple[int, int]:
        asked = [engine.analyse(portraits["hopper"], timeout_s=0.004 if turn % 2 else 30) for turn in range(24)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        in_time = [answer for answer in answers[::2] if isinstance(answer, PictureAnalysis) and len(answer.faces) == 1]
        return len(in_time), sum(isinstance(answer, EngineTimeout) for answer in answers[1::2])

    assert by_both(service, hurry) == [(12, 12), (12, 12)]


def test_a_service_in_front_of_a_triton_named_by_http_serves_and_lends_it_to_commands(
    service: RunningService, tmp_path: Path, portraits: dict[str, bytes]
) -> None:
    """As docker-compose's proxy does."""
    picture = tmp_path / "hopper.jpg"
    picture.write_bytes(portraits["hopper"])
    address = f"http://{service.http}"
    other = start_service(
        tmp_path,
        ["--workers", "1"],
        {"VISAVIS_TRITON": address},
        model_repository=service.model_repository,
    )
    try:
        assert (other.grpc, other.http) == (None, service.http)
        told = {"api_key": other.key_id, "api_secret": other.secret}
        files = {"image_file1": portraits["hopper"], "image_file2": portraits["hopper"]}
        answer = httpx.post(f"{other.url}/facepp/v3/compare", data=told, files=files, timeout=20)
        assert answer.json()["confidence"] > 99
        command = [sys.executable, "-m", "visavis_server", "compare", "--json", picture, picture]
        done = subprocess.run(
            [*command, "--model-repository", service.model_repository, "--data-dir", other.data_dir],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert json.loads(done.stdout)["score"] == pytest.approx(1)
    finally:
        assert other.stop() == 0
