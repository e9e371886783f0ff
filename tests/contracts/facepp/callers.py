"""Clients of this contract, unmodified, as functions: python-facepp in an environment of its own, and curl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.facepp import bench
from running import RunningService
from sdk_environments import sdk_python

SCRIPT = Path(__file__).parent / "clients" / "python_facepp.py"

Arguments = Mapping[str, str]


@dataclass(frozen=True)
class PythonFacePp:
    """python-facepp in an environment of its own."""

    service: RunningService

    def __call__(
        self, *calls: tuple[Arguments, list[str]], key: str | None = None, secret: str | None = None
    ) -> list[dict[str, Any]]:
        """What each call's result held, or what was raised; a call: arguments of compare.get, names to read."""
        given = {
            "url": self.service.url,
            "key": key or self.service.key_id,
            "secret": secret or self.service.secret,
            "calls": calls,
        }
        command = [sdk_python("facepp"), SCRIPT]
        text, clean = json.dumps(given), {"LANG": "C.UTF-8"}
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=120, env=clean)
        outcomes: list[dict[str, Any]] = json.loads(done.stdout)
        return outcomes


@dataclass(frozen=True)
class Curl:
    """curl -F, as the document shows it."""

    service: RunningService

    def __call__(self, path: str = bench.COMPARE, **fields: str | Path) -> tuple[int, str]:
        """Status and body; a path is sent as a file."""
        fields = {"api_key": self.service.key_id, "api_secret": self.service.secret, **fields}
        command = ["curl", "--silent", "--show-error", "-X", "POST", f"{self.service.url}{path}"]
        for name, value in fields.items():
            command += ["-F", f"{name}=@{value}" if isinstance(value, Path) else f"{name}={value}"]
        command += ["--write-out", "\n%{http_code}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def answer(self, **fields: str | Path) -> dict[str, Any]:
        """The body of a success."""
        status, body = self(bench.COMPARE, **fields)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer


def side(path: Path, other: Path) -> dict[str, str]:
    """Arguments of one comparison of two files."""
    return {"image_file1": str(path), "image_file2": str(other)}
