"""Where things lie in a checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERF = ROOT / "perf"
SCENARIOS = PERF / "scenarios"
RESULTS = PERF / "results"
REPOSITORY = ROOT / "model_repository"
#: Pictures, input files and logs: made once, never committed.
CACHE = ROOT / ".cache" / "perf"
#: Research photographs, where the checkout has them beside it.
SHARED = ROOT.parent / "shared"
