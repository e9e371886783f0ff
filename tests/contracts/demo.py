"""Four vendors' own clients, one service: two pictures of one person and two of two, four answers side by side.

``PYTHONPATH=tests python -m contracts.demo`` starts the service, asks every contract's client, prints a table, and
fails where the decisions differ.

A room takes part with ``tests/contracts/<vendor>/demo.py``: ``compare(service, probe, reference) -> Decision``, made by
the vendor's own client.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from contracts.coverage import HERE
from contracts.decision import Decision
from rich.console import Console
from rich.table import Table
from running import ROOT, RunningService, start_service

LFW = ROOT.parent / "shared" / "data" / "lfw"
PAIRS = {
    "one person": ("George_W_Bush/George_W_Bush_0001.jpg", "George_W_Bush/George_W_Bush_0002.jpg"),
    "two persons": ("George_W_Bush/George_W_Bush_0001.jpg", "Colin_Powell/Colin_Powell_0001.jpg"),
}


def decide(service: RunningService) -> dict[str, list[Decision]]:
    """Every room's decision about every pair, by room, in the order of PAIRS."""
    rooms = sorted(path.parent.name for path in HERE.glob("*/demo.py"))
    compares = {room: importlib.import_module(f"contracts.{room}.demo").compare for room in rooms}
    return {
        room: [compare(service, LFW / probe, LFW / reference) for probe, reference in PAIRS.values()]
        for room, compare in compares.items()
    }


def agree(decisions: dict[str, list[Decision]]) -> bool:
    """Whether all rooms decide alike, and rightly: the first pair is of one person, the second of two."""
    return all([d.same_person for d in row] == [True, False] for row in decisions.values())


def show(decisions: dict[str, list[Decision]]) -> None:
    """One line a contract, one column a pair."""
    table = Table("contract", "client", *PAIRS)
    for room, row in decisions.items():
        table.add_row(room, row[0].client, *(f"{d.answer}\n-> {'same' if d.same_person else 'different'}" for d in row))
    Console().print(table)


def main() -> int:
    """0: all agree."""
    with tempfile.TemporaryDirectory(prefix="visavis-demo-") as home:
        service = start_service(Path(home))
        try:
            decisions = decide(service)
        finally:
            service.stop()
    show(decisions)
    return 0 if agree(decisions) else 1


if __name__ == "__main__":
    sys.exit(main())
