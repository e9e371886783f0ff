"""The detector is shown the region that was asked for, as large as its frame allows."""

from __future__ import annotations

import framing
import numpy as np
import pytest

SIZE = (90, 120)


@pytest.fixture(scope="module")
def picture() -> framing.Pixels:
    return np.arange(SIZE[1] * SIZE[0] * 3, dtype=np.uint32).astype(np.uint8).reshape(SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize(
    ("size", "scale"), [((320, 160), 2.0), ((1280, 640), 0.5), ((1, 1), 640.0), ((3000, 2), 640 / 3000)]
)
def test_the_letterbox_keeps_the_ratio_and_fills_one_side(size: tuple[int, int], scale: float) -> None:
    frame, got = framing.letterbox(np.full((size[1], size[0], 3), 200, np.uint8))
    assert frame.shape == (1, 640, 640, 3)
    assert got == pytest.approx(scale)
    filled = (frame[0, :, :, 0] == 200).sum()
    assert filled == max(1, round(size[0] * scale)) * max(1, round(size[1] * scale))


def test_a_frame_of_before_shows_nothing_of_it() -> None:
    used = np.full((1, 640, 640, 3), 7, np.uint8)
    small = np.full((30, 10, 3), 200, np.uint8)
    frame, _ = framing.letterbox(small, used)
    assert frame is used
    assert np.array_equal(frame, framing.letterbox(small)[0])
    assert not (frame == 7).any()


def test_a_region_is_cut_from_the_upright_picture(picture: framing.Pixels) -> None:
    part, left, top = framing.crop(picture, SIZE, (10, 20, 30, 40))
    assert (left, top) == (10, 20)
    assert np.array_equal(part, picture[20:60, 10:40])


def test_a_region_is_in_pixels_of_the_original(picture: framing.Pixels) -> None:
    """Of which the picture at hand may have fewer; what was cut says where it really begins."""
    part, left, top = framing.crop(picture, (4 * SIZE[0], 4 * SIZE[1]), (41, 80, 120, 160))
    assert (left, top) == (40, 80)
    assert np.array_equal(part, picture[20:60, 10:40])


def test_all_zeros_are_the_whole_picture(picture: framing.Pixels) -> None:
    assert framing.crop(picture, SIZE, (0, 0, 0, 0)) == (picture, 0.0, 0.0)
    assert framing.long_side_for((2000, 1000), (0, 0, 0, 0)) == 640
    assert framing.long_side_for(SIZE, (0, 0, 0, 0)) == 120, "nothing is enlarged before the letterbox"


def test_a_small_region_wants_a_larger_picture() -> None:
    assert framing.long_side_for((4000, 3000), (0, 0, 1280, 100)) == 2000


@pytest.mark.parametrize("region", [(90, 0, 5, 5), (0, 0, 0, 5), (-9, -9, 5, 5), (0, 120, 5, 5)])
def test_a_region_outside_the_picture_is_invalid(picture: framing.Pixels, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(framing.RegionInvalid):
        framing.long_side_for(SIZE, region)
    with pytest.raises(framing.RegionInvalid):
        framing.crop(picture, SIZE, region)
