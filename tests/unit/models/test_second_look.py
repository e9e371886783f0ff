"""A closer look covers the whole picture, sees every small face whole, and counts each of them once."""

from __future__ import annotations

import numpy as np
import pytest
import second_look
from hypothesis import given
from hypothesis import strategies as st
from second_look import FRAME, MARGIN, SIDE, TALLEST, Rows, Tiles, cut_tiles, look_again, merge

sides = st.integers(1, SIDE)


def rows(*boxes: tuple[float, float, float, float], scores: tuple[float, ...] | None = None) -> Rows:
    """Rows with those boxes; each one's landmarks all lie in the middle of its box."""
    table = np.array(boxes, np.float32).reshape(-1, 4)
    middles = np.repeat((table[:, :2] + table[:, 2:] / 2)[:, None], 5, axis=1)
    return Rows(table, middles, np.array(scores or [0.9] * len(table), np.float32))


def tiles_of(width: int, height: int) -> Tiles:
    """The tiles of a picture that is as large as an enlarged one already."""
    corners = tuple((left, top) for top in second_look.starts(height) for left in second_look.starts(width))
    return Tiles(np.zeros((len(corners), 1, 1, 3), np.uint8), corners, width, height, 1.0)


def as_seen(tiles: Tiles, *faces: tuple[float, float, float, float]) -> list[Rows]:
    """What a detector says to each tile that finds every face of which it sees a part, cut off at the tile's edge."""
    found = []
    for left, top in tiles.corners:
        seen = []
        for x, y, width, height in faces:
            low = max(x - left, 0.0), max(y - top, 0.0)
            high = min(x + width - left, float(FRAME)), min(y + height - top, float(FRAME))
            if high[0] - low[0] > 8 and high[1] - low[1] > 8:
                seen.append((*low, high[0] - low[0], high[1] - low[1]))
        found.append(rows(*seen))
    return found


@pytest.mark.parametrize("shape", [(250, 250), (640, 640), (2000, 1500), (1500, 2000), (3000, 400), (1, 5000), (1, 1)])
def test_tiles_show_every_pixel_of_the_enlarged_picture_and_black_beyond(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 200, np.uint8)
    tiles = cut_tiles(picture)
    assert max(tiles.width, tiles.height) == SIDE
    assert tiles.scale == pytest.approx(SIDE / max(shape))
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for frame, (left, top) in zip(tiles.frames, tiles.corners, strict=True):
        shown = frame[: min(FRAME, SIDE - top), : min(FRAME, SIDE - left), 0]
        part = canvas[top : top + FRAME, left : left + FRAME]
        np.maximum(part, shown, out=part)
    assert (canvas[: tiles.height, : tiles.width] == 200).all()
    assert not canvas[tiles.height :].any()
    assert not canvas[:, tiles.width :].any()


@pytest.mark.parametrize(("shape", "count"), [((100, 100), 4), ((100, 300), 2), ((300, 100), 2), ((90, 100), 4)])
def test_a_narrow_picture_needs_fewer_tiles(shape: tuple[int, int], count: int) -> None:
    assert len(cut_tiles(np.zeros((*shape, 3), np.uint8)).frames) == count


def test_a_tile_shows_its_part_of_the_picture() -> None:
    """A mark at a known place is found in each of the tiles that hold it, at its place less the tile's corner."""
    picture = np.zeros((576, 576, 3), np.uint8)
    picture[280:288, 280:288] = 255
    tiles = cut_tiles(picture)
    assert len(tiles.frames) == 4
    for frame, (left, top) in zip(tiles.frames, tiles.corners, strict=True):
        down, across = np.nonzero(frame[:, :, 0] > 127)
        assert across.mean() + left == pytest.approx(284 * tiles.scale - 0.5, abs=0.5)
        assert down.mean() + top == pytest.approx(284 * tiles.scale - 0.5, abs=0.5)


@given(data=st.data(), width=sides, height=sides, face=st.tuples(st.integers(10, TALLEST), st.integers(10, TALLEST)))
def test_a_small_face_is_seen_once_wherever_it_lies(
    data: st.DataObject, width: int, height: int, face: tuple[int, int]
) -> None:
    """With its own box: the halves that tiles show of it beyond their edge do not count, and no face comes twice."""
    across, down = min(face[0], width), min(face[1], height)
    box = (data.draw(st.integers(0, width - across)), data.draw(st.integers(0, height - down)), across, down)
    tiles = tiles_of(width, height)
    found = merge(tiles, as_seen(tiles, box))
    if min(across, down) > 8:
        assert found.boxes.tolist() == [list(map(float, box))]
        assert found.landmarks[0] == pytest.approx(np.tile([box[0] + across / 2, box[1] + down / 2], (5, 1)))


def test_a_face_too_tall_for_a_closer_look_does_not_count() -> None:
    """The first look has seen it whole."""
    tiles = tiles_of(SIDE, SIDE)
    faces = ((10.0, 10.0, 90.0, TALLEST + 1.0), (300.0, 300.0, 80.0, float(TALLEST)))
    assert merge(tiles, as_seen(tiles, *faces)).boxes.tolist() == [list(faces[1])]


def test_a_face_that_the_pictures_own_edge_cuts_counts() -> None:
    """Nobody sees more of it."""
    tiles = tiles_of(SIDE, 500)
    found = merge(tiles, [rows((-9, -9, 50, 60)), rows((FRAME - 41, 500 - 52, 50, 60))])
    assert found.boxes.tolist() == [[-9, -9, 50, 60], [SIDE - 41, 500 - 52, 50, 60]]


def test_the_better_of_two_views_stays_and_the_best_face_comes_first() -> None:
    tiles = tiles_of(SIDE, 500)
    shift = tiles.corners[1][0]
    one = rows((shift + 20, 100, 60, 70), (50, 50, 40, 50), scores=(0.86, 0.95))
    other = rows((22, 101, 60, 70), (400, 300, 40, 50), scores=(0.9, 0.88))
    found = merge(tiles, [one, other])
    assert found.scores == pytest.approx([0.95, 0.9, 0.88])
    assert found.boxes.tolist() == [[50, 50, 40, 50], [shift + 22, 101, 60, 70], [shift + 400, 300, 40, 50]]


def test_no_more_faces_than_an_answer_has_rows() -> None:
    grid = [(x * 60.0, y * 60.0, 40.0, 50.0) for x in range(8) for y in range(8)]
    assert len(merge(tiles_of(FRAME, FRAME), [rows(*grid)]).scores) == second_look.MAX_FACES


class Watched:
    """A picture that may be had larger, and a detector; both remember what they were asked."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes = boxes
        self.factors: list[float] = []
        self.frames = 0

    def larger(self, factor: float) -> np.ndarray:
        self.factors.append(factor)
        return np.zeros((1600, 1600, 3), np.uint8)

    def detect(self, frames: np.ndarray) -> list[Rows]:
        self.frames += len(frames)
        return [rows(*self.boxes), *[rows()] * (len(frames) - 1)]


def whole(picture: np.ndarray) -> tuple[np.ndarray, float, float]:
    return picture, 0.0, 0.0


def test_a_picture_without_the_pixels_is_asked_for_again_and_another_is_not() -> None:
    """So many times larger that the enlarged picture is made from no fewer pixels than it has."""
    watched = Watched((100, 100, 40, 50))
    sight = look_again(np.zeros((640, 640, 3), np.uint8), whole, watched.larger, watched.detect)
    assert watched.factors == [pytest.approx(SIDE / 640)]
    assert sight is not None
    assert sight.picture.shape[0] == 1600
    assert sight.scale == pytest.approx(SIDE / 1600)
    assert look_again(np.zeros((SIDE, 99, 3), np.uint8), whole, watched.larger, watched.detect) is not None
    assert len(watched.factors) == 1


def test_only_the_region_is_searched() -> None:
    """What is cut out fills the enlarged picture; where it begins is told."""

    def lower_half(picture: np.ndarray) -> tuple[np.ndarray, float, float]:
        return picture[len(picture) // 2 :], 0.0, 300.0

    watched = Watched((100, 100, 40, 50))
    sight = look_again(np.zeros((1600, 1600, 3), np.uint8), lower_half, watched.larger, watched.detect)
    assert sight is not None
    assert (sight.left, sight.top, sight.scale) == (0.0, 300.0, SIDE / 1600)
    assert watched.frames == 2  # 1152 by 576
    assert sight.rows.boxes.tolist() == [[100, 100, 40, 50]]


def test_where_the_tiles_hold_no_face_there_is_nothing_to_tell() -> None:
    watched = Watched()
    assert look_again(np.zeros((1600, 1600, 3), np.uint8), whole, watched.larger, watched.detect) is None
    assert watched.frames == 4


def test_the_margins_leave_room_for_the_tallest_face() -> None:
    """What the look promises: whatever is small enough has one tile that shows it whole."""
    assert TALLEST + 2 * MARGIN <= 2 * FRAME - SIDE
