"""jdcloud-apim-sdk, and the document's threshold."""

from __future__ import annotations

from pathlib import Path

from contracts.decision import Decision
from contracts.jdcloud.callers import apim, question
from running import RunningService

#: 万分之一误识率下阈值.
THRESHOLD = 0.49


def compare(service: RunningService, probe: Path, reference: Path) -> Decision:
    """One person where the score reaches the document's threshold of one false match in 10 000."""
    (seen,) = apim(service, [question(probe, reference)], service.key_id, service.secret)
    score = float(seen["answer"]["result"]["score"])
    return Decision("jdcloud-apim-sdk", "score", score, THRESHOLD)
