"""The Python models' plain modules, imported as Triton's shells import them: from their own folder."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"
for model in ("image_decoder", "face_aligner"):
    sys.path.insert(0, str(REPOSITORY / model / "1"))
