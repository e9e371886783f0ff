"""Four vendors' own clients, one service: two pictures of one person and two of two, four answers side by side.

``make contracts-demo`` starts the service, asks every contract's client, prints a table, and fails where the
decisions differ.

A room takes part with ``tests/contracts/<vendor>/demo.py``: ``compare(service, probe, reference) -> Decision``, made by
the vendor's own client, with its threshold of one false match in 10 000.
"""

from __future__ import annotations

import importlib
import io
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from contracts.coverage import HERE
from contracts.decision import Decision
from PIL import Image, ImageOps
from portraits import as_jpeg, public_portraits
from rich.console import Console
from rich.table import Table
from running import ROOT, RunningService, start_service

LFW = ROOT.parent / "shared" / "data" / "lfw"
#: What each pair shows, in this order; then its two pictures.
Pairs = Mapping[str, tuple[Path, Path]]

console = Console()


def lfw_pairs() -> Pairs:
    """Photographs of Labeled Faces in the Wild."""
    bush, bush_again, powell = (
        LFW / name / f"{name}_{number:04d}.jpg"
        for name, number in (("George_W_Bush", 1), ("George_W_Bush", 2), ("Colin_Powell", 1))
    )
    return {"one person": (bush, bush_again), "two persons": (bush, powell)}


def portrait_pairs(folder: Path) -> Pairs:
    """Public-domain portraits, written to ``folder``; one person's second is the first, mirrored and smaller."""
    pictures = public_portraits()
    hopper = Image.open(io.BytesIO(pictures["hopper"]))
    pictures["hopper_mirrored"] = as_jpeg(ImageOps.scale(ImageOps.mirror(hopper), 0.7))
    paths = {name: folder / f"{name}.jpg" for name in pictures}
    for name, path in paths.items():
        path.write_bytes(pictures[name])
    return {
        "one person": (paths["hopper"], paths["hopper_mirrored"]),
        "two persons": (paths["hopper"], paths["astronaut"]),
    }


def decide(
    service: RunningService, pairs: Pairs, tell: Callable[[str], object] = lambda _: None
) -> dict[str, list[Decision]]:
    """Every room's decision about every pair, by room, in the order of the pairs."""
    decisions = {}
    for room in sorted(path.parent.name for path in HERE.glob("*/demo.py")):
        tell(f"asking through {room}")
        compare = importlib.import_module(f"contracts.{room}.demo").compare
        decisions[room] = [compare(service, probe, reference) for probe, reference in pairs.values()]
    return decisions


def agree(decisions: Mapping[str, list[Decision]]) -> bool:
    """Whether all rooms decide alike, and rightly: the first pair is of one person, the second of two."""
    return all([d.same_person for d in row] == [True, False] for row in decisions.values())


def show(decisions: Mapping[str, list[Decision]], pairs: Pairs) -> None:
    """Which pictures, then one line a contract and one column a pair."""
    for title, pictures in pairs.items():
        console.print(f"{title}: {', '.join(picture.name for picture in pictures)}")
    table = Table("contract", "its client, its number", *pairs, show_lines=True)
    for room, row in decisions.items():
        table.add_row(room, f"{row[0].client}\n{row[0].measure}", *map(_cell, row))
    console.print(table)
    verdict = "decide alike, and rightly" if agree(decisions) else "do NOT decide alike, or not rightly"
    console.print(f"The {len(decisions)} contracts {verdict} (at one false match in 10 000).")


def _cell(decision: Decision) -> str:
    sign, word = (">=", "same") if decision.same_person else ("<", "different")
    return f"{decision.value:.2f} {sign} {decision.threshold:.2f}\n{word}"


def main() -> int:
    """0: all agree."""
    with tempfile.TemporaryDirectory(prefix="visavis-demo-") as home:
        pairs = lfw_pairs() if LFW.is_dir() else portrait_pairs(Path(home))
        with console.status("starting the service") as status:
            service = start_service(Path(home))
            try:
                decisions = decide(service, pairs, status.update)
            finally:
                service.stop()
    show(decisions, pairs)
    return 0 if agree(decisions) else 1


if __name__ == "__main__":
    sys.exit(main())
