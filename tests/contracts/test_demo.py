"""The demonstration demonstrates."""

from __future__ import annotations

from pathlib import Path

from contracts.demo import agree, decide
from running import RunningService


def test_decisions_of_all_contracts_agree(service: RunningService, shared: Path) -> None:
    """Every vendor's client says one person of the one pair and two of the other."""
    decisions = decide(service)
    assert decisions
    assert agree(decisions), decisions
