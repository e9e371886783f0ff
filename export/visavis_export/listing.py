"""The list of packs, for whoever has to choose one."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from visavis_export.pack import Precision, load_pack, pack_names
from visavis_export.record import read_record
from visavis_export.repository import Repository


def show(repository: Repository) -> None:
    """Print every pack that comes along, and which one the repository holds.

    Raises:
        ExportError: a pack is malformed, or the repository cannot be read.
    """
    held = read_record(repository)
    console = Console(highlight=False)
    for name in pack_names():
        pack = load_pack(name)
        dimensions = "the network's" if pack.embedder.dimensions is None else str(pack.embedder.dimensions)
        console.print(f"{name} (held{_in_precision(held)})" if held.get("pack") == name else name, style="bold")
        facts = Table(box=None, show_header=False, padding=(0, 2))
        facts.add_row("licence", pack.licence)
        facts.add_row("dimensions", dimensions)
        facts.add_row("published accuracy", pack.accuracy.published)
        facts.add_row("own accuracy", pack.accuracy.own)
        console.print(facts, "")
    if held:
        known = f"{held.get('licence')}{_in_precision(held)}"
        console.print(f"{repository.root} holds {held.get('identity')} ({known}).", soft_wrap=True)
    else:
        console.print(f"{repository.root} holds no pack yet.", soft_wrap=True)


def _in_precision(held: dict[str, Any]) -> str:
    """ ", fp16", say; nothing where the record does not tell."""
    said = held.get("precision")
    return f", {said}" if said in list(Precision) else ""
