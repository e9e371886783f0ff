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
    """Photographs, labels or pairs that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file and the name of the person on it."""

    path: Path
    identity: str

    @property
    def name(self) -> str:
        """Tells it from one of another person: folder and file."""
        return f"{self.identity}/{self.path.name}"


def read_directory(root: Path, *, dropped: Collection[str] = ()) -> list[Photograph]:
    """A folder per identity, as LFW has it; identities in ``dropped`` are left out.

    Raises:
        CollectionInvalid: there is nothing to compare, a folder cannot be read, or a name cannot be written down.
    """
    try:
        if not root.is_dir():
            raise CollectionInvalid(f"{root} is not a directory")
        found = [
            Photograph(path, folder.name)
            for folder in sorted(root.iterdir())
            if folder.is_dir() and folder.name not in dropped
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in SUFFIXES and path.is_file()
        ]
    except OSError as error:
        raise CollectionInvalid(f"{error.filename} cannot be read: {error.strerror}") from error
    for photograph in found:
        # Reports, digests and lists of pairs are UTF-8; a file system's names need not be.
        if not _is_utf8(str(photograph.path.relative_to(root))):
            raise CollectionInvalid(f"{str(photograph.path)!a} has a name that is not UTF-8: rename it")
    if len({photograph.identity for photograph in found}) < 2:
        flat = any(path.suffix.lower() in SUFFIXES and path.is_file() for path in root.iterdir())
        raise CollectionInvalid(
            f"{root} needs a folder of pictures for each of at least two people"
            + ("; the pictures lie directly in it" if flat else "")
        )
    return found


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_bytes(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        CollectionInvalid: it is gone, or may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CollectionInvalid(f"{path} cannot be read: {error.strerror}") from error


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
