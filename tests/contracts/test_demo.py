"""The demonstration demonstrates."""

from __future__ import annotations

from pathlib import Path

from contracts.coverage import contracts
from contracts.decision import Decision
from contracts.demo import agree, decide, lfw_pairs, portrait_pairs
from running import RunningService


def test_decisions_of_all_contracts_agree(service: RunningService, shared: Path) -> None:
    """Every vendor's client says one person of the one pair and two of the other."""
    decisions = decide(service, lfw_pairs())
    assert list(decisions) == contracts()
    assert agree(decisions), decisions


def test_decisions_agree_about_portraits_that_are_always_at_hand(service: RunningService, tmp_path: Path) -> None:
    """The same where the research photographs are absent."""
    decisions = decide(service, portrait_pairs(tmp_path))
    assert list(decisions) == contracts()
    assert agree(decisions), decisions


def test_one_dissenting_room_is_a_failure() -> None:
    """Agreement in error is none, and neither is one room that differs."""
    same, different = Decision("client", "score", 0.8, 0.5), Decision("client", "score", 0.2, 0.5)
    assert agree({"a": [same, different], "b": [same, different]})
    assert not agree({"a": [same, different], "b": [same, same]})
    assert not agree({"a": [different, different], "b": [different, different]})
