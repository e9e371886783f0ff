"""How every Triton that serves the model repository is tuned.

The launcher's own takes these values; ``docker-compose.yml`` and ``deploy/kubernetes`` repeat them, and a test holds
them against these.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: Shared memory of a Python model's instance: room for a decoded picture of 12 megapixels, and steps of growth beyond.
_SHARED_MEMORY_BYTES: Final = 16 << 20

#: Of the server and of the Pythons within its stubs.
ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Many stubs share the cores: numpy in each of them is to use one.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Weights and letterboxes lie in huge pages, which spares address translation; and freed memory is kept for
        # the next picture. Otherwise each letterbox is mapped anew, and zeroing its 300 pages takes longer than
        # filling them.
        "GLIBC_TUNABLES": (
            "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=268435456"
        ),
    }
)

#: What the configurations say is what holds.
SWITCHES: Final = ("disable-auto-complete-config",)

FLAGS: Final[Mapping[str, str | int]] = MappingProxyType(
    {
        "model-control-mode": "none",
        "exit-on-error": "true",
        "strict-readiness": "true",
        "backend-config=python,shm-default-byte-size": _SHARED_MEMORY_BYTES,
        "backend-config=python,shm-growth-byte-size": _SHARED_MEMORY_BYTES,
        # Threads of each instance for calls to other models: the aligner makes one at a time. 32 otherwise.
        "backend-config=python,thread-pool-size": 1,
    }
)

#: Besides, on a host without a GPU.
CPU_FLAGS: Final[Mapping[str, str | int]] = MappingProxyType(
    {"model-config-name": "cpu", "allow-gpu-metrics": "false", "pinned-memory-pool-byte-size": 0}
)
