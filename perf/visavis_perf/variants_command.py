"""``visavis bench variants``: what was chosen for speed, beside what else could have been."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from visavis_perf.variants import VariantInvalid, read_variants
from visavis_perf.variants_page import (
    DocumentUnfit,
    check_document,
    check_writable,
    page,
    read,
    write,
    write_document,
)

FAILURES = (VariantInvalid, DocumentUnfit)


def variants(
    names: Annotated[list[str] | None, typer.Argument(help="Of perf/variants.toml.  [default: all]")] = None,
    document: Annotated[
        Path | None, typer.Option(help="Page whose table, between its two marks, is written anew.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Take these results, and measure nothing.")] = None,
) -> None:
    """Serve the product and each variant of it, load them in turns, and print variant / unchanged."""
    known = read_variants()
    if unknown := sorted(set(names or ()) - set(known)):
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}. Known: {', '.join(known)}")
    if names and document:
        raise typer.BadParameter("a page has the whole list: name none of it, or no document")
    if document:
        check_document(document)
    console = Console(highlight=False, soft_wrap=True)
    if results:
        record = read(results)
    else:
        from visavis_perf.variants_run import measure

        check_writable()
        wanted = {name: variant for name, variant in known.items() if not names or name in names}
        record = measure(wanted, lambda text: console.print(text, style="dim"), whole=not names)
        console.print(f"written: {write(record)}", style="dim")
    # As it stands, so that it can be put into a page.
    typer.echo(page(record))
    if record.get("stopped"):
        raise KeyboardInterrupt
    if document:
        write_document(record, document)
