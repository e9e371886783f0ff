"""Posture angles have the documented signs, and sharpness falls with every blur."""

from __future__ import annotations

import cv2
import numpy as np
import posture
import pytest
from hypothesis import given
from hypothesis import strategies as st

ANGLE = st.floats(-45, 45)


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The mean face turned by known angles and seen by an orthographic camera: float64 (5, 2)."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (posture.MEAN_FACE @ (about_z @ about_x @ about_y).T)[:, :2]


@given(yaw=ANGLE, pitch=ANGLE, roll=ANGLE, scale=st.floats(0.1, 20))
def test_a_turned_mean_face_gives_its_angles_back(yaw: float, pitch: float, roll: float, scale: float) -> None:
    found = posture.pose((turned(yaw, pitch, roll) * scale + 300)[None])[0]
    assert found == pytest.approx([yaw, pitch, roll], abs=0.05)


def test_a_nose_to_the_viewers_right_is_a_positive_yaw() -> None:
    points = turned(0, 0, 0)
    points[2, 0] += 8
    assert posture.pose(points[None])[0, 0] > 5


def test_a_raised_nose_is_a_positive_pitch() -> None:
    points = turned(0, 0, 0)
    points[2, 1] -= 8
    assert posture.pose(points[None])[0, 1] > 5


def test_a_lower_right_eye_is_a_positive_roll() -> None:
    points = turned(0, 0, 0) @ np.array([[0.94, 0.34], [-0.34, 0.94]])
    assert points[1, 1] > points[0, 1]
    assert posture.pose(points[None])[0, 2] == pytest.approx(20, abs=1)


def test_landmarks_off_by_a_pixel_cost_a_few_degrees() -> None:
    noise = np.random.default_rng(7).normal(scale=0.6, size=(500, 5, 2))  # millimetres: about a pixel at 112
    found = posture.pose(turned(15, -5, 8)[None] + noise)
    assert np.abs(found - [15, -5, 8]).mean(axis=0).max() < 3


def test_no_face_has_no_pose() -> None:
    assert posture.pose(np.zeros((0, 5, 2), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("size", [24, 48, 80, 112])
@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_sharp_soft_and_heavy_blur_are_told_apart(portraits: dict[str, bytes], name: str, size: int) -> None:
    picture = cv2.imdecode(np.frombuffer(portraits[name], np.uint8), cv2.IMREAD_COLOR_RGB)
    box = {"hopper": (150, 60, 300, 300), "astronaut": (160, 60, 150, 150)}[name]
    face = picture[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    small = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
    scores = [posture.sharpness(small)] + [
        posture.sharpness(cv2.GaussianBlur(small, (0, 0), s)) for s in (0.8, 1.6, 4.0)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.3
    assert scores[0] > 0.5 > scores[-1]


def test_brightness_and_contrast_do_not_count() -> None:
    noise = np.random.default_rng(3).integers(60, 180, (112, 112, 3)).astype(np.uint8)
    assert posture.sharpness(noise) == pytest.approx(posture.sharpness((noise // 2 + 20).astype(np.uint8)), abs=0.05)


def test_a_flat_face_is_not_sharp() -> None:
    assert posture.sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0.0
