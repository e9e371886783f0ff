"""OpenCV's own two graphs in float32, for the peer; a script beside the peer makes them with the export's modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from visavis_perf.places import CACHE, PERF, ROOT


class PeerWeightsMissing(Exception):
    """They could not be made; the text has the export's own words."""


def peer_weights() -> tuple[Path, Path]:
    """Detector and recognizer as OpenCV reads them, made on the first call and kept under ``.cache/perf``.

    Raises:
        PeerWeightsMissing: the export's modules failed.
    """
    folder = CACHE / "peer"
    detector, recognizer = folder / "detector.onnx", folder / "recognizer.onnx"
    if not (detector.is_file() and recognizer.is_file()):
        command = [sys.executable, str(PERF / "baselines" / "weights.py"), str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerWeightsMissing(f"the peer's weights cannot be made: {done.stderr.strip()[-400:]}")
    return detector, recognizer
