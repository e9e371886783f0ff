"""Which nodes of a graph a GPU's session computes on the processor all the same.

A provider that has no kernel for a node leaves it to the processor, without a word: the card then waits for two copies
and a slow computation. onnxruntime tells who got which node where a session was opened with ``RECORDED`` (since 1.24).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .providers import CPU

#: A session configuration entry.
RECORDED = "session.record_ep_graph_assignment_info"
#: What nearly all of a network's arithmetic is; fused forms have these words in their names.
_HEAVY = ("Conv", "Gemm", "MatMul", "Attention", "LSTM", "GRU")
#: They compute shapes, which the processor has to know: onnxruntime keeps them there on purpose.
_SHAPES = frozenset({"Shape", "Size", "ConstantOfShape"})
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Remark:
    """Something for the log."""

    level: Literal["info", "warn", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph, as it was after onnxruntime's own rewriting."""

    name: str
    operation: str


def nodes_on_the_processor(session: Any) -> list[Node] | None:
    """In the graph's order; None where this onnxruntime, or a session opened without ``RECORDED``, does not tell."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return None
    try:
        parts = ask()
    except Exception:  # onnxruntime's errors have no common root of their own; this is how it says "not recorded"
        return None
    return [Node(node.name, node.op_type) for part in parts if part.ep_name == CPU for node in part.get_nodes()]


def remark(nodes: Sequence[Node] | None) -> Remark:
    """What to say of the nodes that a GPU's session left to the processor."""
    if nodes is None:
        return Remark("info", "placement is unknown: this onnxruntime does not tell which nodes run on the processor")
    left = [node for node in nodes if node.operation not in _SHAPES]
    if not left:
        return Remark("info", "every node that computes runs on the GPU")
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(node.operation for node in left).most_common())
    names = ", ".join(node.name or node.operation for node in left[:_NAMED])
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    heavy = any(word in node.operation for node in left for word in _HEAVY)
    return Remark(
        "error" if heavy else "warn",
        f"{len(left)} nodes run on the processor instead of the GPU ({kinds}): {names}{more}",
    )
