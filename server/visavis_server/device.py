"""Processor or card: what the embedded Triton's models run on."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from visavis_server.errors import TritonMissing

#: Either is a sign of NVIDIA's driver: within a sandbox the second may be the only one.
_DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))
#: Distributions with one import name.
_FOR_CPU, _FOR_GPU = "onnxruntime", "onnxruntime-gpu"
_OWN_ENVIRONMENT = "make an environment with the extra `embedded-gpu` (docs/operations.md, On a GPU)"


class Device(StrEnum):
    """What the models run on; AUTO takes a GPU where one can be used."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def choose_device(wanted: Device) -> Device:
    """CPU or GPU.

    Raises:
        TritonMissing: a GPU was asked for that is not there, or that onnxruntime cannot use.
    """
    installed = {name for name in (_FOR_CPU, _FOR_GPU) if any(importlib.metadata.distributions(name=name))}
    return device_of(wanted, has_driver=any(path.exists() for path in _DRIVER), installed=installed)


def device_of(wanted: Device, *, has_driver: bool, installed: Collection[str]) -> Device:
    """CPU or GPU, on a host with those distributions of onnxruntime.

    Raises:
        TritonMissing: see choose_device.
    """
    if wanted is Device.CPU:
        return wanted
    if wanted is Device.GPU and not has_driver:
        raise TritonMissing("a GPU was asked for, but no NVIDIA driver is loaded")
    if wanted is Device.GPU and _FOR_GPU not in installed:
        raise TritonMissing(f"a GPU was asked for, but {_FOR_GPU} is not installed: {_OWN_ENVIRONMENT}")
    if not has_driver or _FOR_GPU not in installed:
        return Device.CPU
    if _FOR_CPU in installed:
        raise TritonMissing(
            f"{_FOR_CPU} and {_FOR_GPU} are both installed and overwrite each other: {_OWN_ENVIRONMENT}, "
            "or say --device cpu"
        )
    return Device.GPU
