"""``visavis serve --cpu-runtime openvino`` on the real Triton: the same answers by another library."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from running import RunningService, start_service

from visavis_client import PictureAnalysis, compare
from visavis_client.faces import ModelIdentity
from visavis_client.triton import TritonEngine
from visavis_server.device import Device, choose_device

GRAPHS = ("face_detector", "face_embedder")


@pytest.fixture(scope="module")
def accelerated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service whose graphs OpenVINO runs."""
    pytest.importorskip("openvino", reason="needs OpenVINO, which is not installed")
    if choose_device(Device.AUTO) is Device.GPU:
        pytest.skip("needs a service on the CPU")
    service = start_service(tmp_path_factory.mktemp("accelerated"), ["--cpu-runtime", "openvino"])
    yield service
    service.stop()


def accelerators(service: RunningService, model: str) -> list[dict[str, object]]:
    """Those of the configuration that Triton has loaded."""
    config = httpx.get(f"http://{service.http}/v2/models/{model}/config", timeout=20).json()
    found: list[dict[str, object]] = config["optimization"]["execution_accelerators"]["cpu_execution_accelerator"]
    return found


def analyses(service: RunningService, pictures: list[bytes]) -> list[PictureAnalysis]:
    """Of all pictures at once, so that some are merged into one batch."""

    async def run() -> list[PictureAnalysis]:
        engine = TritonEngine(service.grpc, model=ModelIdentity("under-test"), timeout_s=30)
        try:
            return await asyncio.gather(*(engine.analyse(picture) for picture in pictures))
        finally:
            await engine.close()

    return asyncio.run(run())


def test_triton_runs_both_graphs_with_the_accelerator(accelerated: RunningService) -> None:
    """And one line of the start says so."""
    for model in GRAPHS:
        assert accelerators(accelerated, model) == [{"name": "openvino", "parameters": {"precision": "BF16"}}]
    lines = accelerated.log.read_text().splitlines()
    assert [line for line in lines if "OpenVINO" in line] == [f"OpenVINO runs {', '.join(GRAPHS)}, as asked for"]


def test_faces_and_templates_are_those_of_onnxruntime(
    accelerated: RunningService, service: RunningService, portraits: dict[str, bytes]
) -> None:
    """One face each, its landmarks within a hundredth of it, its template the same to a cosine of 0.998."""
    pictures = list(portraits.values()) * 4
    for ours, theirs in zip(analyses(accelerated, pictures), analyses(service, pictures), strict=True):
        assert len(ours.faces) == len(theirs.faces) >= 1
        one, other = ours.faces[0], theirs.faces[0]
        off = np.abs(np.array(one.landmarks.left_eye) - np.array(other.landmarks.left_eye)).max()
        assert off <= 0.01 * one.box.height
        assert one.template is not None
        assert other.template is not None
        assert compare(one.template, other.template).value >= 0.998


def test_a_service_on_openvino_ends_as_any_other(accelerated: RunningService) -> None:
    """Nothing of it is left behind, and no process of its Triton came to a bad end."""
    assert accelerated.stop() == 0
    log = (accelerated.data_dir / "triton.log").read_text("utf-8", "replace")
    assert not [line for line in log.splitlines() if "stub" in line.lower() and line.startswith("E")]
