"""OpenCV's own two graphs in float32, for the peer.

The export undoes the quantisation of the pinned weights, so that peer and service compute with the same numbers. Its
program is called, since nobody imports the export.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from visavis_perf.places import CACHE, ROOT

_NAMES = ("face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx")


class PeerWeightsMissing(Exception):
    """The export could not make them; its own words are in the text."""


def peer_weights() -> tuple[Path, Path]:
    """Detector and recognizer as OpenCV reads them, made on the first call and kept under ``.cache/perf``.

    Raises:
        PeerWeightsMissing: the export failed.
    """
    folder = CACHE / "peer"
    detector, recognizer = (folder / name for name in _NAMES)
    if not (detector.is_file() and recognizer.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "visavis_export", "--originals", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not (detector.is_file() and recognizer.is_file()):
            raise PeerWeightsMissing(f"the peer's weights cannot be made: {(done.stdout + done.stderr).strip()[-400:]}")
    return detector, recognizer
