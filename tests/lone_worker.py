"""A worker of the proxy in front of no Triton: it starts, and answers whatever needs none."""

from __future__ import annotations

import json
from pathlib import Path

from visavis_server.key_file import ensure_key_file
from visavis_server.ports import free_loopback_ports


def lone_settings(home: Path) -> dict[str, str]:
    """The variables that such a worker needs; the files that they name are made in ``home``."""
    models = {"identity": "one", "detector": {"sha256": "one"}}
    points = [{"false_match_rate": rate, "threshold": -rate} for rate in (0.1, 0.01)]
    (home / "operating_points.json").write_text(json.dumps({"models": models, "operating_points": points}))
    (home / "models.json").write_text(json.dumps(models))
    ensure_key_file(home / "credentials.toml")
    (nobody,) = free_loopback_ports(1)
    return {
        "VISAVIS_TRITON": f"http://127.0.0.1:{nobody}",
        "VISAVIS_MODEL_REPOSITORY": str(home),
        "VISAVIS_DATA_DIR": str(home),
    }
