"""Half precision is taken where comparisons mean the same, in terms of false match rates and decisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from visavis_export.errors import ExportError, VerificationFailed
from visavis_export.half_accuracy import STEEP_DECADE, Recogniser, Thresholds, check_accuracy, checks_of
from visavis_export.main import app
from visavis_export.matching import Faces
from visavis_export.pictures import letterbox_of, photograph_files
from visavis_export.verification import Check

#: The default pack's, to three digits.
THRESHOLDS = Thresholds.of({1e-2: 0.299, 1e-3: 0.366, 1e-4: 0.420, 1e-5: 0.468, 1e-6: 0.519})
SCORES = np.random.default_rng(0).uniform(-0.2, 0.9, 300).astype(np.float32)


def failed(found: np.ndarray, expected: np.ndarray = SCORES, thresholds: Thresholds = THRESHOLDS) -> list[str]:
    return [check.name for check in checks_of(expected, found, thresholds) if not check.holds]


def factor(found: np.ndarray) -> float:
    (check,) = (check for check in checks_of(SCORES, found, THRESHOLDS) if check.name.endswith("factor"))
    return check.measured


def noise(deviation: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, deviation, SCORES.shape).astype(np.float32)


def test_the_same_scores_pass() -> None:
    assert failed(SCORES.copy()) == []
    assert factor(SCORES.copy()) == 1


def test_the_steepest_decade_counts() -> None:
    """Of thresholds at low rates; a cautious guess where there is no table, or none of low rates."""
    assert THRESHOLDS.decade == pytest.approx(0.048)
    assert Thresholds.of({}).decade == Thresholds.of({1e-1: 0.2, 1e-2: 0.3}).decade == STEEP_DECADE


def test_scores_that_rise_or_fall_move_the_rate() -> None:
    """By a tenth of a decade either way: a factor of 1.26."""
    assert factor(SCORES + np.float32(0.0048)) == pytest.approx(10**0.1, rel=1e-3)
    assert factor(SCORES - np.float32(0.0048)) == pytest.approx(10**0.1, rel=1e-3)
    assert "fp16 accuracy, false match rate at fp32's thresholds, factor" in failed(SCORES + np.float32(0.0048))


def test_scores_that_scatter_raise_the_rate_by_what_a_falling_tail_makes_of_it() -> None:
    """Simulated: a million exponentially distributed scores, whose rate falls tenfold over each decade of score."""
    random = np.random.default_rng(2)
    tail = random.exponential(0.048 / np.log(10), 1_000_000)
    moved = tail + random.normal(0, 0.01, tail.shape)
    (_, rate) = checks_of(tail, moved, Thresholds((1e-3, 1e-4), (0.1, 0.148)))[:2]
    assert rate.measured == pytest.approx((moved > 0.08).mean() / (tail > 0.08).mean(), rel=0.02)
    assert failed(SCORES + noise(0.002)) == []
    assert "fp16 accuracy, false match rate at fp32's thresholds, factor" in failed(SCORES + noise(0.015))


def test_decisions_that_change_are_counted() -> None:
    """Pairs at a threshold that all cross it; the rate's own check sees nothing, since as many rise as fall."""
    low, high = SCORES.copy(), SCORES.copy()
    low[:30], high[:30] = 0.3655, 0.3665
    expected = np.concatenate([low, high])
    found = np.concatenate([high, low])
    assert failed(found, expected) == ["fp16 accuracy, decisions changed at the operating points, share"]
    assert failed(found, expected, Thresholds.of({})) == []


@pytest.mark.parametrize("scores", [SCORES[:0], SCORES[:44], np.full(300, np.nan, np.float32)])
def test_too_few_pairs_or_no_numbers_are_no_proof(scores: np.ndarray) -> None:
    checks: list[Check] = checks_of(scores, scores, THRESHOLDS)
    assert not all(check.holds for check in checks)


class Detector:
    """Three faces at fixed places in every frame, best first or, in ``turned`` order, last first."""

    def __init__(self, *, turned: bool = False) -> None:
        boxes = np.array([[20, 20, 100, 100], [300, 40, 120, 120], [100, 350, 200, 200]], np.float32)
        self._boxes = boxes[::-1] if turned else boxes

    def detect(self, frames: np.ndarray) -> list[Faces]:
        points = np.repeat(self._boxes[:, None, :2], 5, axis=1)
        return [Faces(self._boxes, points, np.full(3, 0.9, np.float32)) for _ in frames]


class Embedder:
    """A random projection of the pixels, and as much chance as a share of it."""

    def __init__(self, chance: float) -> None:
        self._chance = chance

    def embed(self, faces: np.ndarray) -> np.ndarray:
        flat = faces.reshape(len(faces), -1).astype(np.float32) - 127.5
        found = flat @ np.random.default_rng(3).normal(0, 1, (flat.shape[1], 64)).astype(np.float32)
        noise = np.random.default_rng(len(faces)).normal(0, 1, found.shape).astype(np.float32)
        return found + self._chance * found.std() * noise


def recogniser(chance: float = 0.0, *, turned: bool = False) -> Recogniser:
    def align(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        left, top = points[0].astype(int)
        return frame[top : top + 100, left : left + 100]

    return Recogniser(Detector(turned=turned), Embedder(chance), align)


def test_faces_are_compared_by_their_place_and_not_by_their_rank() -> None:
    """Two scores that are all but equal may change places."""
    pairs, rate, alone = check_accuracy(recogniser(), recogniser(turned=True), Thresholds.of({}))
    assert pairs.measured > 300
    assert rate.measured == pytest.approx(1, abs=1e-4)
    assert alone.measured == 0


def test_a_users_photographs_are_compared_too() -> None:
    """As many pairs more as their faces make."""
    before, *_ = check_accuracy(recogniser(), recogniser(), Thresholds.of({}))
    more = np.random.default_rng(5).integers(0, 256, (4, 640, 640, 3), np.uint8)
    after, *_ = check_accuracy(recogniser(), recogniser(), Thresholds.of({}), more)
    faces = round((1 + np.sqrt(1 + 8 * before.measured)) / 2)
    assert after.measured == (faces + 12) * (faces + 11) / 2


class Blind(Detector):
    """Sees the first two faces alone."""

    def detect(self, frames: np.ndarray) -> list[Faces]:
        return [Faces(found.boxes[:2], found.landmarks[:2], found.scores[:2]) for found in super().detect(frames)]


def test_a_face_that_one_precision_alone_finds_is_compared_with_no_other() -> None:
    """But counted, and too many of them are refused."""
    half = Recogniser(Blind(), Embedder(0), recogniser().align)
    with pytest.raises(VerificationFailed, match=r"faces found in one precision alone, share \S+ 0\.33") as caught:
        check_accuracy(recogniser(), half, Thresholds.of({}))
    assert "false match rate" not in str(caught.value)


def test_a_folder_of_photographs_is_read_evenly_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / "deep").mkdir(exist_ok=True)
        Image.new("RGB", (40, 20), (200, number, 0)).save(tmp_path / "deep" / f"{number}.png")
    (tmp_path / "folder.jpg").mkdir()
    files = photograph_files(tmp_path, 3)
    assert [path.stem for path in files] == ["0", "3", "6"]
    frame = letterbox_of(files[1])
    assert frame.shape == (640, 640, 3)
    assert frame[0, 0].tolist() == [200, 3, 0]
    assert not frame[320:].any()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ExportError, match=r"broken\.png is no picture that can be read"):
        letterbox_of(tmp_path / "broken.png")
    with pytest.raises(ExportError, match="holds no photographs"):
        photograph_files(tmp_path / "folder.jpg", 3)


def test_photographs_for_full_precision_are_refused(tmp_path: Path) -> None:
    """Rather than not looked at."""
    done = CliRunner().invoke(app, ["--model-repository", str(tmp_path / "new"), "--faces", str(tmp_path)])
    assert done.exit_code == 1
    assert "say --precision fp16 too" in done.output
    assert not (tmp_path / "new").exists()


def test_an_embedder_whose_scores_scatter_is_refused() -> None:
    with pytest.raises(VerificationFailed, match=r"comparisons do not mean what they mean in fp32, .* fp16 accuracy"):
        check_accuracy(recogniser(), recogniser(0.2), Thresholds.of({}))
