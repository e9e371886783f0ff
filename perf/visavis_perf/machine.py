"""What the figures were measured on: without it a time says nothing."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visavis_perf.limit import cores
from visavis_perf.places import REPOSITORY, ROOT
from visavis_server.device import Device, choose_device

_PACKAGES = (
    *("visavis", "onnxruntime", "onnxruntime-gpu", "openvino", "nvidia-pytriton", "opencv-python-headless"),
    *("simplejpeg", "numpy", "fastapi", "uvicorn", "uvloop", "tritonclient", "aiohttp"),
)
_UNITS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def _output(*command: str) -> str:
    """What a program prints, or nothing where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def describe() -> dict[str, Any]:
    """Processor, memory, cards, and which of them a service here is for; nothing that names the host.

    Raises:
        TritonMissing: no service could start here.
    """
    processor = _field("/proc/cpuinfo", "model name") or platform.processor()
    flags = _field("/proc/cpuinfo", "flags").split()
    memory_kib = _field("/proc/meminfo", "MemTotal").split()
    gpu = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    return {
        "processor": processor,
        "cores": cores(),
        "units": [unit for unit in _UNITS if unit in flags],
        "memory_gib": round(int(memory_kib[0]) / 2**20, 1) if memory_kib else None,
        "gpu": gpu.splitlines(),
        "device": choose_device(Device.AUTO).value,
        "kernel": platform.release().split("-")[0],
    }


def card_serves(machine: Mapping[str, Any]) -> bool:
    """Whether a card did the work, and not merely lies in the host; files older than this word are of processors."""
    return bool(machine.get("device") == Device.GPU)


def short_name(machine: Mapping[str, Any]) -> str:
    """For a file's name: cores, and the card that serves or the newest vector units."""
    if card_serves(machine):
        # Where nvidia-smi is missing, a card may serve all the same.
        what = machine["gpu"][0].split(",")[0] if machine["gpu"] else "gpu"
    else:
        what = (machine["units"] or ["cpu"])[-1]
    return f"{machine['cores']}core-{'-'.join(what.lower().replace('_', '-').split())}"


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == name), "")


def versions() -> dict[str, str]:
    """Of the interpreter and of every package that has a say, and the models' identity."""
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    models = REPOSITORY / "models.json"
    if models.is_file():
        found["models"] = str(json.loads(models.read_text("utf-8")).get("identity"))
    return found


def revision() -> str:
    """The commit, with ``+`` after it where the working tree differs."""
    commit = _output("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    return commit + ("+" if _output("git", "status", "--porcelain", "--untracked-files=no") else "")
