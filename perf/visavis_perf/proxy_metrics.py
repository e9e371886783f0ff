"""The proxy's own times, from what it shows to Prometheus."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_ANSWERED = {"result": "answered"}
_OF_A_PICTURE = {"outcome": "answered"}
#: The proxy keeps the text of ``/metrics`` for one second, whoever asks, and a little is for making it: one that is
#: asked for sooner after a load may lack its last answers, or after a warm-up hold none of it.
SETTLED_S = 1.1
#: A gauge: pictures that all workers together let in at once, two of them in a comparison.
LET_IN = "visavis_pictures_in_flight_limit"


@dataclass(frozen=True, slots=True)
class ProxyTimes:
    """Seconds and counts since the service began, or between two readings; all contracts together."""

    #: Of requests that were answered as asked: refusals take a millisecond and would swamp every mean.
    request_s: float = 0.0
    requests: float = 0.0
    #: Of pictures in the engine.
    picture_s: float = 0.0
    pictures: float = 0.0
    #: Of the same requests, by stage.
    stages_s: dict[str, float] = field(default_factory=dict)

    def since(self, before: ProxyTimes) -> ProxyTimes:
        """What was added."""
        return ProxyTimes(
            self.request_s - before.request_s,
            self.requests - before.requests,
            self.picture_s - before.picture_s,
            self.pictures - before.pictures,
            {stage: seconds - before.stages_s.get(stage, 0.0) for stage, seconds in self.stages_s.items()},
        )

    @property
    def request_ms(self) -> float:
        """Mean of an answered request."""
        return 1000 * self.request_s / max(1.0, self.requests)

    @property
    def picture_ms(self) -> float:
        """Mean of a picture in the engine: Triton's time and the way there and back."""
        return 1000 * self.picture_s / max(1.0, self.pictures)

    @property
    def stages_ms(self) -> dict[str, float]:
        """Mean of an answered request, by stage; they add up to ``request_ms``."""
        return {stage: 1000 * seconds / max(1.0, self.requests) for stage, seconds in self.stages_s.items()}


def read_times(url: str, *, quiet_s: float = 0.0) -> ProxyTimes:
    """What the service shows at ``/metrics`` once it shows all that was answered; nothing where it shows nothing.

    ``quiet_s``: for so long at least nobody has asked the service anything. What is missing to ``SETTLED_S`` is waited
    for.
    """
    time.sleep(max(0.0, SETTLED_S - quiet_s))
    try:
        return parse_times(_read(url))
    except OSError:
        return ProxyTimes()


def read_levels(url: str) -> dict[str, float]:
    """Every family of ``/metrics``, its samples summed up: of use for gauges alone.

    Raises:
        OSError: the service does not answer.
    """
    families = text_string_to_metric_families(_read(url))
    return {family.name: sum(sample.value for sample in family.samples) for family in families}


def _read(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 (http, loopback)
        text: str = answer.read().decode("utf-8")
        return text


def parse_times(text: str) -> ProxyTimes:
    """Read Prometheus's text format."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    stages: dict[str, float] = {}
    for sample in families["visavis_stage_seconds"].samples if "visavis_stage_seconds" in families else ():
        if sample.name.endswith("_total"):
            stage = sample.labels["stage"]
            stages[stage] = stages.get(stage, 0.0) + sample.value
    return ProxyTimes(
        *_histogram(families.get("visavis_request_duration_seconds"), _ANSWERED),
        *_histogram(families.get("visavis_engine_duration_seconds"), _OF_A_PICTURE),
        stages,
    )


def _histogram(family: Metric | None, labels: dict[str, str]) -> tuple[float, float]:
    """Seconds and count of all series with these labels, but of requests for no contract."""
    seconds = count = 0.0
    for sample in family.samples if family else ():
        if sample.labels.get("contract") == "none" or not labels.items() <= sample.labels.items():
            continue
        seconds += sample.value if sample.name.endswith("_sum") else 0.0
        count += sample.value if sample.name.endswith("_count") else 0.0
    return seconds, count
