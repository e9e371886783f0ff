"""Scores of all pairs of many templates, counted block by block in bounded memory.

Every pair is counted in a histogram of fine bins. The scores that decide low false match rates, those of the most
alike non-mated pairs, are kept one by one with their identities, and so are all mated ones (up to a limit, then a
random share): the bootstrap needs to know whose they are. Where the most alike non-mated pairs are not all of them, a
random share of all is kept beside them, for the rates whose thresholds lie lower. However many people or photographs
there are, no more is held than twice the kept pairs of each kind and one block; ``python -m visavis_accuracy crowd``
measures it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

BLOCK = 2048
#: Bins over [-1, 1]; the middle of bin i is a score.
BINS = 20_000
#: Pairs of each kind that are kept one by one: mated, most alike non-mated, any non-mated.
KEPT = 3_000_000


@dataclass(frozen=True, slots=True)
class KeptPairs:
    """Single pairs: score, and the identities on either side as numbers."""

    scores: Floats
    probes: Ids
    references: Ids

    def above(self, threshold: float) -> KeptPairs:
        """Those of at least that score."""
        return self.at(self.scores >= threshold)

    def below(self, threshold: float) -> KeptPairs:
        """Those of a lower score."""
        return self.at(self.scores < threshold)

    def at(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> KeptPairs:
        """Those at these places."""
        return KeptPairs(self.scores[chosen], self.probes[chosen], self.references[chosen])

    @staticmethod
    def join(parts: Sequence[KeptPairs]) -> KeptPairs:
        """All of them, in their order."""
        return KeptPairs(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.probes for part in parts]),
            np.concatenate([part.references for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class PairScores:
    """Both distributions of a set of templates."""

    mated: Counts
    non_mated: Counts
    #: A random share of the mated pairs, all of them where they are few.
    kept_mated: KeptPairs
    #: The most alike non-mated pairs: all with at least ``kept_from``.
    kept_non_mated: KeptPairs
    kept_from: float
    #: A random share of all non-mated pairs, whatever their scores; empty where no pair had to go.
    shared_non_mated: KeptPairs

    @property
    def mated_pairs(self) -> int:
        """How many."""
        return int(self.mated.sum())

    @property
    def non_mated_pairs(self) -> int:
        """How many."""
        return int(self.non_mated.sum())


def centres() -> npt.NDArray[np.float64]:
    """The scores that the bins stand for."""
    return (np.arange(BINS) + 0.5) * (2 / BINS) - 1


def count_pairs(
    vectors: Floats, identities: Ids, progress: Callable[[int], None] = lambda _: None, *, kept: int = KEPT
) -> PairScores:
    """Compare every template, float32 (n, d) of unit length, with every later one; identities are numbers (n,)."""
    every, mated = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    same, near = _Highest(kept), _Highest(kept)
    any_non_mated: list[KeptPairs] = []
    every_pair = len(vectors) * (len(vectors) - 1) // 2
    share = kept / every_pair if every_pair > kept else 0.0
    draw, draw_any = np.random.default_rng(0), np.random.default_rng(1)
    for rows, columns, scores, earlier in _blocks(vectors):
        alike = (identities[rows, None] == identities[None, columns]) & earlier
        pairs = _pick(scores, _everywhere(alike), identities, rows, columns)
        every += _histogram(scores[earlier])
        mated += _histogram(pairs.scores)
        # Those that draw the highest numbers are a random share, whatever order the pairs come in.
        same.add(pairs, draw.random(pairs.scores.size, np.float32))
        others = earlier & ~alike
        pairs = _pick(scores, _everywhere(others & (scores >= near.floor)), identities, rows, columns)
        near.add(pairs, pairs.scores)
        any_non_mated.append(_pick(scores, _drawn(draw_any, others, share), identities, rows, columns))
        progress(rows.stop)
    return PairScores(mated, every - mated, same.finish(), near.finish(), near.floor, KeptPairs.join(any_non_mated))


class _Highest:
    """The pairs of the highest ranks in a stream of them."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._parts: list[tuple[KeptPairs, Floats]] = []
        self._held = 0
        #: Every pair so far of at least this rank is held, and no other.
        self.floor = -math.inf

    def add(self, pairs: KeptPairs, ranks: Floats) -> None:
        """Take in a block's pairs."""
        high = ranks >= self.floor
        self._parts.append((pairs.at(high), ranks[high]))
        self._held += int(high.sum())
        if self._held > 2 * self._kept:
            self._raise_floor()

    def finish(self) -> KeptPairs:
        """All that are kept in the end."""
        if self._held > self._kept:
            self._raise_floor()
        return KeptPairs.join([pairs for pairs, _ in self._parts])

    def _raise_floor(self) -> None:
        """Pairs of one rank stay or go together: they go where there is no room for all of them."""
        pairs, ranks = (
            KeptPairs.join([pairs for pairs, _ in self._parts]),
            np.concatenate([ranks for _, ranks in self._parts]),
        )
        surplus = ranks.size - self._kept
        highest_out, lowest_in = np.partition(ranks, [surplus - 1, surplus])[surplus - 1 : surplus + 1]
        self.floor = float(lowest_in if highest_out < lowest_in else np.nextafter(lowest_in, np.float32(np.inf)))
        high = ranks >= self.floor
        self._parts, self._held = [(pairs.at(high), ranks[high])], int(high.sum())


def _blocks(vectors: Floats) -> Iterator[tuple[slice, slice, Floats, npt.NDArray[np.bool_]]]:
    """Blocks of the upper triangle: rows, columns, scores, and which of them are pairs (row before column)."""
    count = len(vectors)
    for top in range(0, count, BLOCK):
        rows = slice(top, min(top + BLOCK, count))
        for left in range(top, count, BLOCK):
            columns = slice(left, min(left + BLOCK, count))
            scores = np.clip(vectors[rows] @ vectors[columns].T, -1, 1)
            earlier = np.ones(scores.shape, np.bool_) if left > top else np.triu(np.ones(scores.shape, np.bool_), 1)
            yield rows, columns, scores, earlier


def _histogram(scores: Floats) -> Counts:
    bins = np.minimum(((scores.astype(np.float64) + 1) * (BINS / 2)).astype(np.int64), BINS - 1)
    return np.bincount(bins, minlength=BINS).astype(np.int64)


def _drawn(draw: np.random.Generator, mask: npt.NDArray[np.bool_], share: float) -> tuple[Places, Places]:
    """Where a random share of the mask's places lies; drawn by place, since a number for every pair would take long."""
    places = draw.choice(mask.size, draw.binomial(mask.size, share), replace=False, shuffle=False)
    row, column = np.divmod(places, mask.shape[1])
    chosen = mask[row, column]
    return row[chosen], column[chosen]


def _everywhere(mask: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
    row, column = np.nonzero(mask)
    return row, column


def _pick(scores: Floats, at: tuple[Places, Places], identities: Ids, rows: slice, columns: slice) -> KeptPairs:
    row, column = at
    return KeptPairs(scores[row, column], identities[rows][row], identities[columns][column])
