"""The vendor's own clients, unmodified, each in an environment of its own; and how a caller asks and reads."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from running import RunningService
from sdk_environments import sdk_python

CLIENTS = Path(__file__).parent / "clients"


@dataclass(frozen=True)
class Client:
    """One of the vendor's packages, and how it signs."""

    environment: str
    script: str
    signature: str | None = None

    def ask(self, service: RunningService, *questions: dict[str, Any], **key: str) -> list[dict[str, Any]]:
        """What the client returned or raised for each question, asked one after the other."""
        task = {
            "host": urlsplit(service.url).netloc,
            "key_id": service.key_id,
            "secret": service.secret,
            "signature": self.signature,
            "questions": questions,
            **key,
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [sdk_python(self.environment), CLIENTS / self.script],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=clean,
        )
        assert done.returncode == 0, done.stderr
        outcomes: list[dict[str, Any]] = json.loads(done.stdout)
        return outcomes


ACS = Client("aliyun-acs", "acs.py")
TEA_V3 = Client("aliyun-tea", "tea.py")
TEA_V2 = Client("aliyun-tea", "tea.py", "v2")


def value(picture: bytes | Path) -> str:
    data = picture.read_bytes() if isinstance(picture, Path) else picture
    return "base64://" + base64.b64encode(data).decode()


def question(source: str, target: str, target_type: str = "FacePic", **more: Any) -> dict[str, Any]:
    return {"source": source, "target": target, "source_type": "FacePic", "target_type": target_type, **more}


def thresholds(answer: dict[str, Any]) -> dict[str, float]:
    return {rate: float(text) for rate, text in json.loads(answer["Data"]["ConfidenceThresholds"]).items()}
