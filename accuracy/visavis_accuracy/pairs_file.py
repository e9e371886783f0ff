"""Lists of pairs in the form of LFW's ``pairs.txt``: read, drawn from one's own photographs, and written.

A header ``folds<TAB>pairs of either kind``, then for each fold ``name n m`` (mated) and ``name n other m`` (non-mated):
photograph n of a name is ``name/name_000n.jpg``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visavis_accuracy.photographs import SUFFIXES, CollectionInvalid, Photograph

#: How often another non-mated pair is looked for, for each that is wanted, until there is none.
TRIES = 50

#: Photographs' numbers by name, rising.
Numbers = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photographs, by their place in a list, and whether one person is on both; ``fold`` from 0."""

    probe: int
    reference: int
    mated: bool
    fold: int


@dataclass(frozen=True, slots=True)
class Fold:
    """Pairs of people who are in no other fold."""

    #: Name and two numbers.
    mated: tuple[tuple[str, int, int], ...]
    #: Name and number, another name and number.
    non_mated: tuple[tuple[str, int, str, int], ...]

    @property
    def people(self) -> frozenset[str]:
        """Everybody in a pair."""
        return frozenset(name for name, _, _ in self.mated) | {
            name for one, _, other, _ in self.non_mated for name in (one, other)
        }


def read_pairs(file: Path, root: Path) -> tuple[list[Photograph], list[Pair]]:
    """The photographs that are named, and the pairs by their places; a header of one number is one fold's.

    Raises:
        CollectionInvalid: a line or a photograph cannot be read, or there are not as many as the header says.
    """
    places: dict[Photograph, int] = {}

    def place(name: str, number: int) -> int:
        photograph = Photograph(_find(root, name, number), name)
        if photograph not in places and not photograph.path.is_file():
            raise CollectionInvalid(f"{file} names {photograph.path}, which is not there")
        return places.setdefault(photograph, len(places))

    per_fold, lines = _lines(file)
    pairs = []
    for row, (line, words) in enumerate(lines):
        match words:
            case [name, one, another] if one.isdecimal() and another.isdecimal():
                probe, reference = place(name, int(one)), place(name, int(another))
            case [name, one, other, another] if one.isdecimal() and another.isdecimal():
                probe, reference = place(name, int(one)), place(other, int(another))
            case _:
                raise _invalid(file, f"line {line} is neither NAME 1 2 nor NAME 1 OTHER 2")
        pairs.append(Pair(probe, reference, len(words) == 3, row // per_fold))
    return list(places), pairs


def _lines(file: Path) -> tuple[int, list[tuple[int, list[str]]]]:
    """How many pairs of both kinds a fold has, and each pair's line number and words, as many as the header says."""
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise CollectionInvalid(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _invalid(file, "it is no text in UTF-8") from error
    lines = [(number, _words(line)) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise _invalid(file, "it is empty")
    _, header = lines.pop(0)
    if len(header) > 2 or not all(word.isdecimal() and int(word) for word in header):
        raise _invalid(file, "it does not begin with how many folds and how many pairs of either kind it has")
    folds, per_kind = (1, *map(int, header))[-2:]
    expected = 2 * folds * per_kind
    if len(lines) != expected:
        cut = " (cut off?)" if len(lines) < expected else ""
        raise _invalid(file, f"it has {len(lines)} pairs{cut}, {expected} expected: twice {per_kind} in {folds} folds")
    return 2 * per_kind, lines


def _invalid(file: Path, why: str) -> CollectionInvalid:
    return CollectionInvalid(f"{file} is not a pairs file in LFW's form: {why}")


def _words(line: str) -> list[str]:
    """A name may have spaces where tabs separate."""
    return [word.strip() for word in line.strip().split("\t" if "\t" in line else None)]


def _find(root: Path, name: str, number: int) -> Path:
    """The photograph of that number: LFW's JPEG, or the same in another format."""
    wanted = root / name / f"{name}_{number:04d}.jpg"
    if wanted.is_file():
        return wanted
    return next((path for suffix in sorted(SUFFIXES) if (path := wanted.with_suffix(suffix)).is_file()), wanted)


def numbered(photographs: Iterable[Photograph]) -> dict[str, list[int]]:
    """The numbers of those photographs that a line of a pairs file can name."""
    found: dict[str, list[int]] = {}
    for photograph in photographs:
        folder, name = photograph.path.parent, photograph.identity
        match = re.fullmatch(re.escape(name) + r"_(\d{4,})", photograph.path.stem)
        survives = name.strip() == name and "\t" not in name  # a line of words between tabs
        if match and survives and _find(folder.parent, name, int(match[1])) == photograph.path:
            found.setdefault(name, []).append(int(match[1]))
    return {name: sorted(numbers) for name, numbers in found.items()}


def draw_folds(numbers: Numbers, *, folds: int, per_kind: int, seed: int) -> list[Fold]:
    """As LFW's were drawn: a person of the fold, whoever, then photographs of that person; no pair twice.

    Raises:
        CollectionInvalid: the people of a fold have fewer different pairs.
    """
    drawn = _draw_folds(numbers, folds, per_kind, seed)
    fewest = min(drawn, key=_pairs_of_either_kind)
    found = _pairs_of_either_kind(fewest)
    if found == per_kind:
        return drawn
    kind = "mated" if len(fewest.mated) == found else "non-mated"
    most = _most(numbers, folds, found, seed)
    raise CollectionInvalid(
        f"no {per_kind} different {kind} pairs were found in every one of {folds} folds, but {found}: "
        + (f"--pairs {most} works" if most else "take fewer folds, or more people with two photographs or more")
    )


def _pairs_of_either_kind(fold: Fold) -> int:
    return min(len(fold.mated), len(fold.non_mated))


def _most(numbers: Numbers, folds: int, found: int, seed: int) -> int:
    """So many pairs of either kind can be drawn with this seed: other numbers are drawn when fewer are wanted."""
    while found and (less := min(map(_pairs_of_either_kind, _draw_folds(numbers, folds, found, seed)))) < found:
        found = less
    return found


def _draw_folds(numbers: Numbers, folds: int, per_kind: int, seed: int) -> list[Fold]:
    """With fewer pairs where there are no more."""
    draw = np.random.default_rng(seed)
    names = sorted(numbers)
    shuffled = [names[place] for place in draw.permutation(len(names))]
    # Who has most is dealt out first, so that every fold has its share of mated pairs.
    dealt = sorted(shuffled, key=lambda name: -len(numbers[name]))
    made = []
    for fold in range(folds):
        people = {name: numbers[name] for name in dealt[fold::folds]}
        mated, non_mated = _draw_mated(people, per_kind, draw), _draw_non_mated(people, per_kind, draw)
        made.append(Fold(tuple(mated), tuple(non_mated)))
    return made


def _draw_mated(people: Numbers, wanted: int, draw: np.random.Generator) -> list[tuple[str, int, int]]:
    left: dict[str, list[int]] = {}
    for name, theirs in people.items():
        if count := math.comb(len(theirs), 2):
            left[name] = draw.choice(count, min(count, wanted), replace=False).tolist()
    found: list[tuple[str, int, int]] = []
    while left and len(found) < wanted:
        name = list(left)[draw.integers(len(left))]
        # Pair p of a person is photographs i < j with p = j (j - 1) / 2 + i.
        pair = left[name].pop()
        j = (1 + math.isqrt(1 + 8 * pair)) // 2
        found.append((name, people[name][pair - math.comb(j, 2)], people[name][j]))
        if not left[name]:
            del left[name]
    return found


def _draw_non_mated(people: Numbers, wanted: int, draw: np.random.Generator) -> list[tuple[str, int, str, int]]:
    names = list(people)
    found: dict[frozenset[tuple[str, int]], tuple[str, int, str, int]] = {}
    for _ in range(TRIES * wanted if len(names) > 1 else 0):
        one, other = (names[place] for place in draw.choice(len(names), 2, replace=False))
        number, another = (people[name][draw.integers(len(people[name]))] for name in (one, other))
        found.setdefault(frozenset({(one, number), (other, another)}), (one, number, other, another))
        if len(found) == wanted:
            break
    return list(found.values())


def pairs_text(folds: Sequence[Fold]) -> str:
    """The file's text, tabs between the words as in LFW's own."""
    rows: list[tuple[str | int, ...]] = [(len(folds), len(folds[0].mated))]
    for fold in folds:
        rows += [*fold.mated, *fold.non_mated]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)
