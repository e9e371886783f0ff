"""What the service's Triton has loaded, by its own word."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from visavis_perf.service import Service
from visavis_server.device import Device

#: Both graphs are for one device: the launcher decides for all models.
_ASKED = "face_embedder"


def configuration(service: Service, model: str) -> dict[str, Any]:
    """A model's configuration as it was loaded, which is the repository's with the launcher's changes."""
    with urllib.request.urlopen(f"http://{service.triton_http}/v2/models/{model}/config", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def device(service: Service) -> Device:
    """What the graphs run on; a card on the host may well be idle."""
    kinds = {group["kind"] for group in configuration(service, _ASKED)["instance_group"]}
    return Device.GPU if kinds == {"KIND_GPU"} else Device.CPU
