"""alibabacloud-cloudauth20190307, and a threshold of the answer's own table."""

from __future__ import annotations

from pathlib import Path

from contracts.aliyun.callers import TEA_V3, question, thresholds, value
from contracts.decision import Decision
from running import RunningService


def compare(service: RunningService, probe: Path, reference: Path) -> Decision:
    """One person where the score reaches the answer's threshold of one false match in 10 000."""
    (outcome,) = TEA_V3.ask(service, question(value(probe), value(reference)))
    answer = outcome["answer"]
    score = float(answer["Data"]["SimilarityScore"])
    return Decision("alibabacloud-cloudauth", "SimilarityScore", score, thresholds(answer)["0.0001"])
