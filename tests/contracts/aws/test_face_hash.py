"""The map from embeddings to face_hash: linear, an isometry, and the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visavis_client.errors import EngineFault
from visavis_proxy.contracts.aws.face_hash import LENGTH, LONGEST, QUANTA, SHORTEST, face_hash, isometry


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_columns_are_orthogonal_and_of_one_length() -> None:
    """The Gram matrix of all 768 columns is 768 times the identity, exactly."""
    columns = isometry(LENGTH)
    assert np.array_equal(columns.T @ columns, LENGTH * np.eye(LENGTH))
    assert set(np.unique(columns)) == {-1.0, 1.0}


def test_shorter_embeddings_take_the_first_columns() -> None:
    """One map for embeddings of every length, so that a longer one of zeros at its end is the shorter one."""
    assert np.array_equal(isometry(128), isometry(LENGTH)[:, :128])


def test_numbers_have_the_mean_zero() -> None:
    """Every column but the last of 768 sums to zero, so a client that correlates gets the cosine too."""
    assert not isometry(LENGTH)[:, :-1].sum(axis=0).any()
    random = np.random.default_rng(3)
    a, b = random.normal(0, 1, (2, 128)).astype(np.float32)
    correlation = np.corrcoef(face_hash(a), face_hash(b))[0, 1]
    assert correlation == pytest.approx(cosine(a, b), abs=1e-3)


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(2, LENGTH),
    norms=st.tuples(*2 * [st.floats(SHORTEST * 1.01, LONGEST * 0.99)]),
    likeness=st.floats(-1, 1),
)
def test_cosine_and_length_survive(seed: int, length: int, norms: tuple[float, float], likeness: float) -> None:
    """The cosine of two face_hash is that of the embeddings to 1e-3, and each keeps its length to a thousandth."""
    random = np.random.default_rng(seed)
    first, other = random.normal(0, 1, (2, length))
    second = likeness * first / np.linalg.norm(first) + (1 - abs(likeness)) * other / np.linalg.norm(other)
    if np.linalg.norm(second) < 1e-6:
        second = other
    raw = [(v / np.linalg.norm(v) * norm).astype(np.float32) for v, norm in zip((first, second), norms, strict=True)]
    hashes = [np.asarray(face_hash(embedding)) for embedding in raw]
    assert cosine(*hashes) == pytest.approx(cosine(*(v.astype(np.float64) for v in raw)), abs=1e-3)
    for numbers, norm in zip(hashes, norms, strict=True):
        assert np.linalg.norm(numbers) == pytest.approx(norm, rel=1e-3)


@given(order=st.permutations(range(128)))
def test_sums_are_exact_in_every_order(order: list[int]) -> None:
    """However a machine orders its additions, the numbers before rounding are the same bits."""
    raw = np.random.default_rng(5).normal(0, 1000, 128).astype(np.float32).astype(np.float64)
    whole = np.rint(raw * QUANTA)
    assert np.array_equal(isometry(128) @ whole, isometry(128)[:, order] @ whole[order])


def test_numbers_are_those_of_the_first_release() -> None:
    """The digest of one face_hash is committed: stored vectors stay comparable with tomorrow's."""
    embedding = (np.arange(1, 129, dtype=np.float32) - 64) / 8
    digest = hashlib.sha256(np.asarray(face_hash(embedding), "<f2").tobytes()).hexdigest()
    assert digest == "9cd210d924628695fb53957b46354d7c68f0c5fb6c6891d395c1be0feadf9975"


@pytest.mark.parametrize(
    "embedding",
    [
        np.ones(LENGTH + 1, np.float32),
        np.full(4, LONGEST, np.float32),
        np.full(4, SHORTEST / 4, np.float32),
        np.full(4, np.nan, np.float32),
        np.full(4, np.inf, np.float32),
    ],
    ids=["too many numbers", "too long", "too short", "not a number", "infinite"],
)
def test_embedding_without_a_face_hash(embedding: np.ndarray) -> None:
    """What 768 half-precision numbers cannot hold is the engine's fault, not a wrong answer."""
    with pytest.raises(EngineFault):
        face_hash(embedding)
