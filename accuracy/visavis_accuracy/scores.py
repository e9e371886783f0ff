"""Scores of all pairs of many templates, counted block by block in bounded memory.

Every pair is counted in a histogram of fine bins. The scores that decide low false match rates, those of the most
alike non-mated pairs, are kept one by one with their identities, and so are all mated ones (up to a limit, then a
random share): the bootstrap needs to know whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]

BLOCK = 2048
#: Bins over [-1, 1]; the middle of bin i is a score.
BINS = 20_000
#: Pairs of either kind that are kept one by one.
KEPT = 3_000_000


@dataclass(frozen=True, slots=True)
class KeptPairs:
    """Single pairs: score, and the identities on either side as numbers."""

    scores: Floats
    probes: Ids
    references: Ids

    def above(self, threshold: float) -> KeptPairs:
        """Those of at least that score."""
        at = self.scores >= threshold
        return KeptPairs(self.scores[at], self.probes[at], self.references[at])


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
    mated, non_mated = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    near: list[KeptPairs] = []
    same: list[KeptPairs] = []
    draw = np.random.default_rng(0)
    threshold, held = -1.0, 0
    for rows, columns, scores, earlier in _blocks(vectors):
        alike = identities[rows, None] == identities[None, columns]
        mated += _histogram(scores[alike & earlier])
        non_mated += _histogram(scores[~alike & earlier])
        same.append(_pick(scores, alike & earlier, identities, rows, columns))
        near.append(_pick(scores, ~alike & earlier & (scores >= threshold), identities, rows, columns))
        held += near[-1].scores.size
        if held > 2 * kept:
            threshold, near = _raise(near, kept)
            held = near[0].scores.size
        progress(rows.stop)
    threshold, near = _raise(near, kept)
    return PairScores(mated, non_mated, _thin(_join(same), kept, draw), near[0], threshold)


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


def _pick(scores: Floats, mask: npt.NDArray[np.bool_], identities: Ids, rows: slice, columns: slice) -> KeptPairs:
    row, column = np.nonzero(mask)
    return KeptPairs(scores[row, column], identities[rows][row], identities[columns][column])


def _join(parts: list[KeptPairs]) -> KeptPairs:
    return KeptPairs(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.probes for part in parts]),
        np.concatenate([part.references for part in parts]),
    )


def _raise(parts: list[KeptPairs], kept: int) -> tuple[float, list[KeptPairs]]:
    """Keep the most alike only, and the score from which on all are kept."""
    whole = _join(parts)
    if whole.scores.size <= kept:
        return float(whole.scores.min(initial=1.0)) if whole.scores.size else -1.0, [whole]
    threshold = float(np.partition(whole.scores, whole.scores.size - kept)[whole.scores.size - kept])
    return threshold, [whole.above(threshold)]


def _thin(pairs: KeptPairs, kept: int, draw: np.random.Generator) -> KeptPairs:
    if pairs.scores.size <= kept:
        return pairs
    chosen = draw.choice(pairs.scores.size, kept, replace=False)
    return KeptPairs(pairs.scores[chosen], pairs.probes[chosen], pairs.references[chosen])
