"""How a fault of ours is logged: where it happened and what kind it was.

Not what it says: the text of an exception may repeat what a caller sent, secrets and pictures included.
"""

from __future__ import annotations

import logging
import traceback


def log_fault(log: logging.Logger, fault: BaseException, *, request_id: str | None = None) -> None:
    """Log an exception nobody expected, with its kind and its stack, and those of its causes, without their texts."""
    parts: list[str] = []
    seen: BaseException | None = fault
    while seen is not None and len(parts) < 8:
        stack = "".join(traceback.format_tb(seen.__traceback__))
        parts.append(f"{type(seen).__module__}.{type(seen).__qualname__}\n{stack}")
        seen = seen.__cause__ or seen.__context__
    where = f"request {request_id}: " if request_id else ""
    log.error("%sunexpected %s", where, "caused by ".join(parts))
