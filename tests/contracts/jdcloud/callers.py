"""The vendor's own clients, unmodified, each in an environment of its own, as functions."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from running import RunningService
from sdk_environments import sdk_python

CLIENTS = Path(__file__).parent / "clients"

#: What a client returned or raised, for every body, sent one after the other over one client object.
Seen = list[dict[str, Any]]
#: service, bodies, key id, secret
Client = Callable[[RunningService, Sequence[object], str, str], Seen]


def apim(service: RunningService, bodies: Sequence[object], key_id: str, secret: str) -> Seen:
    """jdcloud-apim-sdk: JDCLOUD2; gives the HTTP answer."""
    return _run("jdcloud-apim", "apim.py", service, bodies, key_id, secret)


def sdk(service: RunningService, bodies: Sequence[object], key_id: str, secret: str) -> Seen:
    """jdcloud-sdk: JDCLOUD3; gives request_id, result and error."""
    return _run("jdcloud", "sdk.py", service, bodies, key_id, secret)


def sdk_core(service: RunningService, bodies: Sequence[object], key_id: str, secret: str) -> Seen:
    """jdcloud-sdk-core: the same interface, but JDCLOUD2."""
    return _run("jdcloud-core", "sdk.py", service, bodies, key_id, secret)


def question(probe: Path | bytes, reference: Path | bytes) -> dict[str, str]:
    """The documented body."""
    a, b = (p if isinstance(p, bytes) else p.read_bytes() for p in (probe, reference))
    return {"imgBase64A": base64.b64encode(a).decode(), "imgBase64B": base64.b64encode(b).decode()}


def _run(
    environment: str, script: str, service: RunningService, bodies: Sequence[object], key_id: str, secret: str
) -> Seen:
    endpoint = service.url.removeprefix("http://")
    given = {"endpoint": endpoint, "key_id": key_id, "secret": secret, "bodies": list(bodies)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(sdk_python(environment)), str(CLIENTS / script)]
    text = json.dumps(given)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=120, env=clean)
    # The SDKs print what they raise before.
    seen: Seen = json.loads(done.stdout.splitlines()[-1])
    return seen
