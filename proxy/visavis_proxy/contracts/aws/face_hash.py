"""``face_hash``: a raw embedding of any model, spread over exactly 768 numbers in half precision.

The map is linear, the same for every picture, and an isometry: its columns are those of a Hadamard matrix of order
768, divided by the square root of 768. All entries are +1 or -1 before that division, so the matrix needs no
rounding, no seed and no file; docs/contracts/aws.md says why it was preferred to padding with zeros.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from visavis_client.errors import EngineFault
from visavis_client.faces import Vector

#: As many numbers as the document promises.
LENGTH = 768
#: Embeddings outside these lengths (Euclidean) would lose their direction in half precision, or overflow it.
SHORTEST, LONGEST = 2.0**-6, 2.0**15
#: Embeddings are rounded to whole multiples of 1 / QUANTA. Their sums then stay below 2**53 and are exact in float64
#: in whatever order a machine adds them, so that all machines give the same numbers.
QUANTA = 2.0**32


def face_hash(embedding: Vector) -> list[float]:
    """768 numbers, each exact in half precision, with the direction and the length of the embedding.

    ``embedding`` is float32 (d,), d at most 768, raw or normalised.

    Raises:
        EngineFault: the embedding is longer than 768 numbers, or its length leaves what half precision can hold.
    """
    if embedding.size > LENGTH:
        raise EngineFault(f"an embedding of {embedding.size} numbers has no isometry into {LENGTH}")
    raw = embedding.astype(np.float64)
    if not SHORTEST <= math.sqrt(float(raw @ raw)) <= LONGEST:
        raise EngineFault("the embedding's length leaves what half precision can hold")
    spread = isometry(embedding.size) @ np.rint(raw * QUANTA)
    numbers: list[float] = (spread / (QUANTA * math.sqrt(LENGTH))).astype(np.float16).tolist()
    return numbers


@functools.cache
def isometry(columns: int) -> npt.NDArray[np.float64]:
    """float64 (768, columns) of +1 and -1: orthogonal columns, each of length sqrt(768).

    The constant column comes last of all 768, so the numbers of every shorter embedding have the mean zero, and
    their correlation is their cosine.
    """
    sylvester = functools.reduce(np.kron, [np.array([[1, 1], [1, -1]])] * 6)
    matrix = np.roll(np.kron(_paley(), sylvester), -1, axis=1)[:, :columns].astype(np.float64)
    matrix.setflags(write=False)
    return matrix


def _paley() -> npt.NDArray[np.int_]:
    """The Hadamard matrix of order 12 that Paley made from the squares modulo 11; its first column is constant."""
    squares = {n * n % 11 for n in range(1, 11)}
    matrix = np.ones((12, 12), np.int_)
    for row in range(11):
        for column in range(11):
            matrix[row + 1, column + 1] = 1 if (row - column) % 11 in squares else -1
    return matrix
