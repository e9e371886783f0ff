"""The document's own sample, twice, and the caller's cosine."""

from __future__ import annotations

from pathlib import Path

from contracts.aws.callers import aws_requests_auth, key_of, question, similarity, threshold
from contracts.decision import Decision
from running import RunningService


def compare(service: RunningService, probe: Path, reference: Path) -> Decision:
    """One call a picture; one person where the cosine reaches the threshold of one false match in 10 000."""
    first, second = (
        aws_requests_auth(service, question(picture), key_of(service)).answer for picture in (probe, reference)
    )
    return Decision("aws-requests-auth", "cosine of face_hash", similarity(first, second), threshold(service, 1e-4))
