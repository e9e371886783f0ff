"""How long each stage takes inside Triton: its statistics before a run and after. The only user of tritonclient here.

Triton counts for everybody who asks it, so a mean is that of the inferences that it executed meanwhile, whoever asked.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from visavis_client.address import TritonAddress

ENSEMBLE = "face_analysis"
#: Model, what it does, and what one inference of it is about. A picture in which no face is found is five frames, and
#: all faces of a photograph are embedded where the subject is the one in the middle.
STAGES = (
    ("image_decoder", "decoding", "picture"),
    ("face_detector", "detection", "frame"),
    ("face_aligner", "alignment", "picture"),
    ("face_embedder", "embedding", "face"),
)
TIMEOUT_S = 5.0
#: A request's answer leaves before it is counted, in its stages as well. So it is looked until two looks see the same,
#: and so often at most, because somebody else may go on asking.
LOOKS, PAUSE_S = 10, 0.05


@dataclass(frozen=True, slots=True)
class Counters:
    """A model's counts since it was loaded, all versions together."""

    requests: int = 0
    inferences: int = 0
    #: Summed over requests: each waits for itself.
    queue_ns: int = 0
    #: Summed over executions: a batch is computed once for all that are in it. Copying in and out is included.
    compute_ns: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.requests + other.requests,
            self.inferences + other.inferences,
            self.queue_ns + other.queue_ns,
            self.compute_ns + other.compute_ns,
        )

    def since(self, before: Counters) -> Counters | None:
        """What was added; None where the counts went back, because Triton began anew."""
        requests, inferences = self.requests - before.requests, self.inferences - before.inferences
        queue_ns, compute_ns = self.queue_ns - before.queue_ns, self.compute_ns - before.compute_ns
        added = Counters(requests, inferences, queue_ns, compute_ns)
        return None if min(requests, inferences, queue_ns, compute_ns) < 0 else added


@dataclass(frozen=True, slots=True)
class StageTime:
    """The mean inference of one stage."""

    stage: str
    model: str
    #: What one inference is about.
    unit: str
    inferences: int
    #: Share of its batch's execution, by the clock: several at once on a few cores slow one another down.
    compute_ms: float
    #: Of a request, before its execution began.
    queue_ms: float


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Every stage in the order in which a picture passes them."""

    #: Pictures that Triton answered meanwhile, and how many of them this run had asked for.
    pictures: int
    own_pictures: int
    stages: tuple[StageTime, ...]


class StageClock:
    """Reads the counters where a run begins and where it ends."""

    def __init__(self, address: str) -> None:
        """``address`` is ``host:port`` of Triton's gRPC, by HTTP nothing is asked; the run begins now."""
        self._address = address
        self._before = read_counters(address)

    def stop(self, own_pictures: int) -> StageTimes | None:
        """See :func:`stage_times`; the run asked for so many pictures and has all its answers."""
        if not own_pictures or not self._before:
            return None
        times, last = None, self._before
        for _ in range(LOOKS):
            now = read_counters(self._address)
            times = stage_times(self._before, now, own_pictures)
            if times is not None and now == last:
                return times
            last = now
            time.sleep(PAUSE_S)
        return times


def read_counters(address: str) -> dict[str, Counters]:
    """Every model's counts, asked of gRPC at ``host:port``; none where Triton does not tell, or is known by HTTP."""
    if TritonAddress.parse(address).by_http:
        return {}
    client = InferenceServerClient(address)
    try:
        answer = client.get_inference_statistics(client_timeout=TIMEOUT_S)
    except InferenceServerException:
        return {}
    finally:
        client.close()
    return parse_counters(answer)


def parse_counters(answer: Any) -> dict[str, Counters]:
    """Read the ``ModelStatisticsResponse`` of Triton's statistics extension."""
    found: dict[str, Counters] = {}
    for model in answer.model_stats:
        counters = Counters(
            requests=model.inference_stats.success.count,
            inferences=model.inference_count,
            queue_ns=model.inference_stats.queue.ns,
            compute_ns=sum(
                batch.compute_input.ns + batch.compute_infer.ns + batch.compute_output.ns for batch in model.batch_stats
            ),
        )
        found[model.name] = found.get(model.name, Counters()) + counters
    return found


def stage_times(before: Mapping[str, Counters], after: Mapping[str, Counters], own_pictures: int) -> StageTimes | None:
    """What a run that asked for so many pictures, and got an answer to each, can say about the time they took.

    None where it can say nothing: no statistics were given, or they are not of one server that ran all the time.
    """
    added = {name: after[name].since(before[name]) for name in before.keys() & after.keys()}
    whole = added.get(ENSEMBLE)
    if whole is None or whole.requests < own_pictures:
        return None
    stages = []
    for model, stage, unit in STAGES:
        counters = added.get(model)
        if counters is None or not counters.inferences:
            return None
        compute_ms = counters.compute_ns / counters.inferences / 1e6
        queue_ms = counters.queue_ns / max(counters.requests, 1) / 1e6
        stages.append(StageTime(stage, model, unit, counters.inferences, compute_ms, queue_ms))
    return StageTimes(whole.requests, own_pictures, tuple(stages))
