"""``pairs``: a list of pairs in folds, for ``evaluate --pairs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visavis_accuracy.files import check_writable, write_text
from visavis_accuracy.pairs_file import draw_folds, numbered, pairs_text
from visavis_accuracy.photographs import CollectionInvalid, read_directory
from visavis_accuracy.terminal import Directory, Labels, read_dropped, say


def pairs_command(
    directory: Directory,
    folds: Annotated[int, typer.Option(min=2, help="No person is in two of them.")] = 10,
    pairs: Annotated[int, typer.Option(min=1, help="Mated pairs of each fold, and as many non-mated ones.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Chooses folds and pairs.")] = 0,
    drop: Labels = None,
    out: Annotated[Path, typer.Option(help="The list to write.")] = Path("pairs.txt"),
) -> None:
    """Draw pairs in folds from photographs named NAME/NAME_0001.jpg, in the form of LFW's pairs.txt."""
    check_writable(out)
    photographs = read_directory(directory, dropped=read_dropped(drop, directory))
    numbers = numbered(photographs)
    if not numbers:
        raise CollectionInvalid(f"no photograph in {directory} is named as in LFW: NAME/NAME_0001.jpg")
    unnamed = len(photographs) - sum(map(len, numbers.values()))
    if unnamed:
        say(f"{unnamed} photographs are not named NAME/NAME_0001.jpg and left out")
    drawn = draw_folds(numbers, folds=folds, per_kind=pairs, seed=seed)
    write_text(out, pairs_text(drawn))
    people = sum(len(fold.people) for fold in drawn)
    say(f"wrote {out}: {folds} folds of {pairs} mated and {pairs} non-mated pairs of {people:,} people")
