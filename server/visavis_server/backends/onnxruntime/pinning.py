"""Memory of this process that a card reads by itself: without it the driver copies every batch once more.

onnxruntime's Python gives no such memory away, so pages are locked through the CUDA runtime that is loaded here.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

_MAPS = Path("/proc/self/maps")
#: Also with a checksum in its name, as wheels have it. Where there are several, any will do: they share one context.
_LIBRARY = "libcudart"


def loaded_runtime(maps: str) -> str | None:
    """The path of the CUDA runtime among the files of ``/proc/self/maps``."""
    for line in maps.splitlines():
        path = line.split(maxsplit=5)[5:]
        if path and Path(path[0]).name.startswith(_LIBRARY):
            return path[0]
    return None


def lock_pages(buffer: Any, device_number: int) -> bool:
    """Lock an array's pages for as long as the process lives; whether it worked. The array must live as long."""
    path = loaded_runtime(_MAPS.read_text("utf-8"))
    if path is None:
        return False
    runtime = ctypes.CDLL(path)
    if runtime.cudaSetDevice(ctypes.c_int(device_number)) != 0:
        return False
    address, size = ctypes.c_void_p(buffer.ctypes.data), ctypes.c_size_t(buffer.nbytes)
    return bool(runtime.cudaHostRegister(address, size, ctypes.c_uint(0)) == 0)
