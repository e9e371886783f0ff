"""The engine behind an address."""

from __future__ import annotations

from visavis_client.address import TritonAddress
from visavis_client.engine import Engine
from visavis_client.faces import ModelIdentity
from visavis_client.triton_http import TritonHttpEngine


def open_engine(address: str, *, model: ModelIdentity, timeout_s: float = 8.0) -> Engine:
    """Triton's models, by HTTP at ``http://host:port``, by gRPC at ``host:port``. Triton need not be there yet.

    Raises:
        ValueError: it is no such address.
    """
    if TritonAddress.parse(address).by_http:
        return TritonHttpEngine(address, model=model, timeout_s=timeout_s)
    # Only here: a process that does without gRPC is spared its libraries.
    from visavis_client.triton import TritonEngine

    return TritonEngine(address, model=model, timeout_s=timeout_s)
