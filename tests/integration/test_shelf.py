"""The steps of the real ensemble, one by one: wherever the aligner has the picture from, its answer is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pytest
from running import RunningService
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import np_to_triton_dtype

Tensor = npt.NDArray[np.generic]
Tensors = Mapping[str, Tensor]

#: image_decoder/1/shelf.py
SLOTS = 16
DECODED = ("letterbox", "picture", "place", "geometry")
DETECTED = ("boxes", "landmarks", "detection_scores", "face_count")
ALIGNED = (*DETECTED, "faces", "pose", "sharpness", "image_size")


@pytest.fixture
def triton(service: RunningService) -> InferenceServerClient:
    return InferenceServerClient(service.grpc)


def ask(triton: InferenceServerClient, model: str, given: Tensors, wanted: tuple[str, ...]) -> Tensors:
    inputs = []
    for name, values in given.items():
        kind = "BYTES" if values.dtype == object else np_to_triton_dtype(values.dtype)
        tensor = InferInput(name, list(values.shape), kind)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    answer = triton.infer(model, inputs, outputs=[InferRequestedOutput(name) for name in wanted], client_timeout=60)
    return {name: answer.as_numpy(name) for name in wanted}


@pytest.fixture
def picture(portraits: dict[str, bytes]) -> Tensors:
    return {"image": np.array([portraits["astronaut"]], object), "region": np.zeros(4, np.int32)}


def aligned(triton: InferenceServerClient, picture: Tensors, decoded: Tensors, *names: str) -> Tensors:
    found = ask(triton, "face_detector", {"image": decoded["letterbox"]}, DETECTED)
    given = {**picture, **found, "max_faces": np.array([1], np.int32), "geometry": decoded["geometry"]}
    return ask(triton, "face_aligner", given | {name: decoded[name] for name in names}, ALIGNED)


def give_back(triton: InferenceServerClient, picture: Tensors, decoded: Tensors, places: Iterable[Tensor]) -> None:
    """Read what lies at each place, which lets its decoder use it again."""
    found = ask(triton, "face_detector", {"image": decoded["letterbox"]}, DETECTED)
    given = {**picture, **found, "max_faces": np.array([0], np.int32), "geometry": decoded["geometry"]}
    for place in places:
        ask(triton, "face_aligner", given | {"place": place}, DETECTED)


def same(one: Tensors, other: Tensors) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ALIGNED)


def test_the_aligner_takes_a_picture_a_place_or_neither(triton: InferenceServerClient, picture: Tensors) -> None:
    decoded = ask(triton, "image_decoder", picture, DECODED)
    assert decoded["place"][4] > 0, "a ticket"
    expected = aligned(triton, picture, decoded, "picture")
    assert expected["face_count"].tolist() == [1, 1]
    assert same(aligned(triton, picture, decoded), expected)
    assert same(aligned(triton, picture, decoded, "place"), expected)
    assert same(aligned(triton, picture, decoded, "place"), expected), "it lies there no longer"


def test_full_shelves_cost_no_answer(triton: InferenceServerClient, picture: Tensors) -> None:
    decoded = ask(triton, "image_decoder", picture, ("letterbox", "picture", "geometry"))
    expected = aligned(triton, picture, decoded, "picture")
    places: list[Tensor] = []
    try:
        for _ in range(200 * SLOTS):
            decoded = ask(triton, "image_decoder", picture, ("letterbox", "place", "geometry"))
            if not decoded["place"].any():
                break
            places.append(decoded["place"])
        else:
            pytest.fail("some shelf was never full")
        assert len({tuple(place.tolist()[:5]) for place in places}) == len(places) >= SLOTS
        assert same(aligned(triton, picture, decoded, "place"), expected)
        whole = {**picture, "max_faces": np.array([1], np.int32)}
        assert np.array_equal(ask(triton, "face_analysis", whole, ("boxes",))["boxes"], expected["boxes"])
    finally:
        give_back(triton, picture, decoded, places)


def test_a_place_made_up_is_no_place(triton: InferenceServerClient, picture: Tensors) -> None:
    """And whoever makes one up leaves the real one as it was."""
    decoded = dict(ask(triton, "image_decoder", picture, DECODED))
    expected = aligned(triton, picture, decoded, "picture")
    for field in range(5):
        place = decoded["place"].copy()
        place[field] += 1
        assert same(aligned(triton, picture, {**decoded, "place": place}, "place"), expected)
    give_back(triton, picture, decoded, [decoded["place"]])
