"""Which photographs are compared, and who is on them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


class CollectionInvalid(Exception):
    """A directory or pairs file that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file and the name of the person on it."""

    path: Path
    identity: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photographs, by their place in a list, and whether one person is on both; ``fold`` from 0."""

    probe: int
    reference: int
    mated: bool
    fold: int


def read_directory(root: Path, *, dropped: Collection[str] = ()) -> list[Photograph]:
    """A folder per identity, as LFW has it; identities in ``dropped`` are left out.

    Raises:
        CollectionInvalid: there is nothing to compare.
    """
    if not root.is_dir():
        raise CollectionInvalid(f"{root} is not a directory")
    found = [
        Photograph(path, folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and folder.name not in dropped
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if len({photograph.identity for photograph in found}) < 2:
        raise CollectionInvalid(f"{root} needs a folder of pictures for each of at least two people")
    return found


def at_most_per_person(photographs: Sequence[Photograph], most: int) -> list[Photograph]:
    """No more than so many photographs of anyone, spread evenly over those there are; 0: all.

    In LFW one man has 530 photographs and a brother there: without this, thresholds are about the two of them.
    """
    if most == 0:
        return list(photographs)
    kept = []
    for _, group in itertools.groupby(photographs, key=lambda photograph: photograph.identity):
        theirs = list(group)
        step = max(1.0, len(theirs) / most)
        kept += [theirs[int(place * step)] for place in range(min(most, len(theirs)))]
    return kept


def read_pairs(file: Path, root: Path) -> tuple[list[Photograph], list[Pair]]:
    """LFW's ``pairs.txt``: folds of ``name n m`` (mated) and ``name n other m`` (non-mated) below a header.

    Raises:
        CollectionInvalid: a line or a photograph cannot be read.
    """
    places: dict[Photograph, int] = {}

    def place(name: str, number: str) -> int:
        photograph = Photograph(root / name / f"{name}_{int(number):04d}.jpg", name)
        if not photograph.path.is_file():
            raise CollectionInvalid(f"{file} names {photograph.path}, which is not there")
        return places.setdefault(photograph, len(places))

    try:
        header, *lines = [line.split() for line in file.read_text("utf-8").splitlines() if line.strip()]
        folds, per_kind = (int(number) for number in (header if len(header) == 2 else ["1", header[0]]))
        pairs = []
        for row, words in enumerate(lines):
            fold = min(row // (2 * per_kind), folds - 1)
            if len(words) == 3:
                pairs.append(Pair(place(words[0], words[1]), place(words[0], words[2]), True, fold))
            else:
                name, number, other, another = words
                pairs.append(Pair(place(name, number), place(other, another), False, fold))
    except (OSError, ValueError) as error:
        raise CollectionInvalid(f"{file} is not a pairs file in LFW's form: {error}") from error
    return list(places), pairs


def sample(photographs: Sequence[Photograph], limit: int | None, *, seed: int = 0) -> list[Photograph]:
    """At most so many of them, in their order, the same ones for the same seed; None: all."""
    if limit is None or limit >= len(photographs):
        return list(photographs)
    chosen = np.random.default_rng(seed).choice(len(photographs), limit, replace=False)
    return [photographs[place] for place in sorted(chosen)]


def digest(photographs: Iterable[Photograph], contents: Iterable[str]) -> str:
    """Names a data set: sha256 over every identity and content digest, whatever the order."""
    rows = sorted(
        f"{photograph.identity}\0{content}\n" for photograph, content in zip(photographs, contents, strict=True)
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()
