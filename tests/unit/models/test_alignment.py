"""Faces are aligned as an independent solution aligns them, and no pixel is skipped."""

from __future__ import annotations

import alignment
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform


def independent(points: np.ndarray) -> np.ndarray:
    return SimilarityTransform.from_estimate(points, alignment.TEMPLATE).params[:2]


@given(
    scale=st.floats(0.05, 40),
    turn=st.floats(-3.1, 3.1),
    shift=st.tuples(st.floats(-500, 5000), st.floats(-500, 5000)),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_similarity_is_umeyamas(scale: float, turn: float, shift: tuple[float, float], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(5, 2))
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = scale * ((alignment.TEMPLATE + noise) @ spin.T) + shift
    assert np.allclose(alignment.similarity(points), independent(points), rtol=1e-5, atol=1e-3)


def test_the_template_itself_is_left_as_it_is() -> None:
    assert np.allclose(alignment.similarity(alignment.TEMPLATE), np.eye(3)[:2], atol=1e-9)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 1e6), np.tile([[3.0, 3.0 + 1e-9]], (5, 1))])
def test_landmarks_on_one_point_still_give_a_face(points: np.ndarray) -> None:
    transform = alignment.similarity(points)
    assert np.isfinite(transform).all()
    assert alignment.align(np.zeros((9, 9, 3), np.uint8), transform).shape == (112, 112, 3)


@pytest.mark.parametrize("factor", [2.0, 3.3, 8.0])
def test_a_large_face_is_averaged_rather_than_sampled(factor: float) -> None:
    side = int(160 * factor)
    chequered = (np.indices((side, side)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = np.repeat(chequered[:, :, None], 3, axis=2)
    points = (alignment.TEMPLATE + 20) * factor
    face = alignment.align(picture, alignment.similarity(points))
    assert np.abs(face.astype(float) - 127.5).max() < 20


@pytest.mark.parametrize("factor", [1.0, 2.0, 3.0, 5.7])
def test_shrinking_first_moves_nothing(factor: float) -> None:
    side = int(150 * factor)
    y, x = np.mgrid[0:side, 0:side] / factor
    smooth = (127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)).astype(np.uint8)
    picture = np.repeat(smooth[:, :, None], 3, axis=2)
    points = (alignment.TEMPLATE + 12.5) * factor
    transform = alignment.similarity(points)
    face = alignment.align(picture, transform)
    plain = cv2.warpAffine(cv2.GaussianBlur(picture, (0, 0), max(factor / 3, 0.1)), transform, (112, 112))
    assert np.abs(face.astype(int) - plain).mean() < 3


def test_a_face_at_the_edge_is_black_beyond_it() -> None:
    picture = np.full((60, 60, 3), 255, np.uint8)
    face = alignment.align(picture, alignment.similarity(alignment.TEMPLATE - 50))
    assert (face[52:108, 52:108] == 255).all()
    assert (face[:48] == 0).all()
    assert (face[:, :48] == 0).all()
