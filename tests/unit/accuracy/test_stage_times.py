"""A stage's time is the mean inference of what Triton executed between two readings, whoever asked for it."""

from __future__ import annotations

import pytest
from tritonclient.grpc.service_pb2 import ModelStatisticsResponse

from visavis_accuracy.stage_times import ENSEMBLE, STAGES, Counters, StageClock, parse_counters, stage_times


def counters(requests: int, inferences: int | None = None, *, queue_ms: float = 0, compute_ms: float = 0) -> Counters:
    return Counters(requests, inferences or requests, int(queue_ms * 1e6), int(compute_ms * 1e6))


def reading(pictures: int, *, frames: int, faces: int) -> dict[str, Counters]:
    """Stages that take 1, 4, 2 and 8 ms an inference, each picture of which waits 3 ms before every stage."""
    numbers = dict(zip((model for model, _, _ in STAGES), (pictures, frames, pictures, faces), strict=True))
    each_ms = dict(zip(numbers, (1, 4, 2, 8), strict=True))
    stages = {
        model: counters(pictures, number, queue_ms=3 * pictures, compute_ms=each_ms[model] * number)
        for model, number in numbers.items()
    }
    return {ENSEMBLE: counters(pictures), "another_model": counters(7), **stages}


def test_means_are_of_inferences_and_not_of_pictures() -> None:
    """A picture may be several frames and show several faces; what was counted before the run does not count."""
    times = stage_times(reading(100, frames=500, faces=300), reading(110, frames=514, faces=330), 10)
    assert times is not None
    assert (times.pictures, times.own_pictures) == (10, 10)
    assert [stage.stage for stage in times.stages] == ["decoding", "detection", "alignment", "embedding"]
    assert [stage.inferences for stage in times.stages] == [10, 14, 10, 30]
    assert [stage.compute_ms for stage in times.stages] == pytest.approx([1, 4, 2, 8])
    assert [stage.queue_ms for stage in times.stages] == pytest.approx([3, 3, 3, 3])


def test_what_others_asked_meanwhile_is_told_and_leaves_the_means_what_they_are() -> None:
    times = stage_times(reading(0, frames=0, faces=0), reading(1000, frames=1000, faces=1500), 10)
    assert times is not None
    assert (times.pictures, times.own_pictures) == (1000, 10)
    assert [stage.compute_ms for stage in times.stages] == pytest.approx([1, 4, 2, 8])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, reading(10, frames=10, faces=10)),
        (reading(0, frames=0, faces=0), {}),
        (reading(50, frames=50, faces=50), reading(10, frames=10, faces=10)),
        (reading(5, frames=5, faces=5), reading(10, frames=10, faces=10)),
        (reading(0, frames=0, faces=0), reading(10, frames=10, faces=10) | {"face_detector": Counters()}),
    ],
    ids=["none before", "none after", "began anew", "fewer than this run's", "a stage that never ran"],
)
def test_readings_that_are_not_of_one_server_all_the_time_say_nothing(
    before: dict[str, Counters], after: dict[str, Counters]
) -> None:
    assert stage_times(before, after, 10) is None


def test_a_batch_is_computed_once_and_versions_are_one_model() -> None:
    """Triton adds a batch's time to each of its requests; by batch size it counts every execution once."""
    answer = ModelStatisticsResponse()
    for version, (requests, inferences) in enumerate(((3, 4), (2, 2)), start=1):
        model = answer.model_stats.add(name="face_embedder", version=str(version), inference_count=inferences)
        model.inference_stats.success.count = requests
        model.inference_stats.queue.ns = 100 * requests
        model.inference_stats.compute_infer.ns = 999_999
        batch = model.batch_stats.add(batch_size=2)
        batch.compute_input.ns, batch.compute_infer.ns, batch.compute_output.ns = 1, 20, 300
        model.batch_stats.add(batch_size=1).compute_infer.ns = 4000
    assert parse_counters(answer) == {"face_embedder": Counters(5, 6, 500, 2 * 4321)}


def test_where_nobody_tells_nothing_is_known() -> None:
    """A run may take everything from its cache, and then needs no Triton at all."""
    clock = StageClock("127.0.0.1:1")
    assert clock.stop(0) is None
    assert clock.stop(10) is None
