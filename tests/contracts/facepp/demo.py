"""python-facepp, and a threshold that comes with the answer."""

from __future__ import annotations

from pathlib import Path

from contracts.decision import Decision
from contracts.facepp.callers import PythonFacePp, side
from running import RunningService


def compare(service: RunningService, probe: Path, reference: Path) -> Decision:
    """One person where the confidence reaches the answer's threshold of one false match in 10 000."""
    (seen,) = PythonFacePp(service)((side(probe, reference), ["confidence", "thresholds"]))
    return Decision("python-facepp", "confidence", float(seen["confidence"]), float(seen["thresholds"]["1e-4"]))
