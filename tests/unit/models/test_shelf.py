"""A picture laid by the decoder is read where it lies, by another process, and never taken for another one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shelf
from hypothesis import given
from hypothesis import strategies as st

PICTURE = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened() -> shelf.Shelves:
    """An aligner's side, of which a test wants to hear nothing."""
    return shelf.Shelves(lambda sentence: None)


def without_garbage() -> None:
    """What earlier tests left and nobody holds is closed now, and not while a test counts, or waits for a number."""
    gc.collect()


def shelves_in_memory() -> int:
    return Path("/proc/self/maps").read_text("utf-8").count(shelf.LINK)


def shelves_open() -> int:
    """Other files are opened and closed by whoever else is at work here."""
    return sum(os.path.realpath(link) == shelf.LINK for link in Path("/proc/self/fd").iterdir())


def lay(decoder: shelf.Shelf, picture: shelf.Pixels = PICTURE) -> list[int]:
    slot = decoder.free()
    assert slot is not None
    decoder.room(slot)
    return list(decoder.lay(picture, slot).tolist())


def test_another_process_sees_the_picture_and_gives_it_back() -> None:
    decoder = shelf.Shelf()
    row = lay(decoder)
    reader = (
        f"import sys; sys.path.insert(0, {str(Path(shelf.__file__).parent)!r}); import shelf\n"
        f"shelves = shelf.Shelves(print); place, picture = shelves.look({row})\n"
        "print(picture.shape, int(picture.sum()), shelves.give_back(place))"
    )
    said = subprocess.run([sys.executable, "-c", reader], check=True, capture_output=True, text=True, timeout=60).stdout
    assert said.split("\n")[0] == f"(5, 4, 3) {PICTURE.sum()} True"
    assert decoder.free() == 0, "what came back is lent again first"


def test_a_picture_decoded_in_place_is_not_copied() -> None:
    decoder = shelf.Shelf()
    room = decoder.room(0)
    picture = room[: PICTURE.size].reshape(PICTURE.shape)
    picture[...] = PICTURE
    found = opened().look(decoder.lay(picture, 0).tolist())
    assert found is not None
    assert (found[1] == PICTURE).all()


def test_every_slot_is_lent_once_and_no_more() -> None:
    decoder = shelf.Shelf()
    slots = [lay(decoder)[3] for _ in range(shelf.SLOTS)]
    assert slots == list(range(shelf.SLOTS))
    assert decoder.free() is None


def test_what_never_comes_back_is_lent_anew_and_its_holder_is_told() -> None:
    clock = Clock()
    decoder, aligner = shelf.Shelf(clock), opened()
    rows = [lay(decoder) for _ in range(shelf.SLOTS)]
    held = aligner.look(rows[0])
    assert held is not None
    clock.now += shelf.LENT_S + 1
    lay(decoder, PICTURE + 1)
    assert not aligner.give_back(held[0]), "what was read may be another's"
    assert aligner.look(rows[0]) is None
    assert aligner.look(rows[1]) is not None, "only one was needed"


def test_a_ticket_is_good_for_one_reading() -> None:
    decoder, aligner = shelf.Shelf(), opened()
    row = lay(decoder)
    held = aligner.look(row)
    assert held is not None
    assert aligner.give_back(held[0])
    assert aligner.look(row) is None


def test_a_picture_that_is_too_large_lies_nowhere_and_keeps_no_slot() -> None:
    decoder = shelf.Shelf()
    decoder.room(0)
    row = decoder.lay(np.zeros((1, shelf.SLOT_BYTES // 3 + 1, 3), np.uint8), 0)
    assert opened().look(row.tolist()) is None
    assert decoder.free() == 0


def test_a_failed_decoding_keeps_no_slot() -> None:
    decoder = shelf.Shelf()
    decoder.room(0)
    decoder.take_back(0)
    assert decoder.free() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, 1 << 40), (1, 0), (1, 1 << 40), (2, 1), (3, -1), (3, shelf.SLOTS), (4, 0), (4, 99), (5, 1 << 40), (6, -4)],
)
def test_a_place_that_is_none_is_seen(field: int, value: int) -> None:
    row = lay(shelf.Shelf())
    row[field] = value
    assert opened().look(row) is None


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=7, max_size=7))
def test_no_numbers_do_harm(row: list[int]) -> None:
    assert opened().look(row) is None


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    with path.open("rb+") as other:
        assert opened().look([os.getpid(), other.fileno(), 0, 0, 1, 5, 4]) is None
    assert path.read_bytes() == bytes(1 << 20)


def test_a_shelf_ends_with_its_decoder() -> None:
    without_garbage()
    there = shelves_open()
    decoder = shelf.Shelf()
    row = lay(decoder)
    decoder.close()
    assert opened().look(row) is None
    del decoder
    assert shelves_open() == there


def test_a_new_shelf_lets_those_go_whose_decoders_are_gone() -> None:
    without_garbage()
    there = shelves_in_memory()
    aligner, stays = opened(), shelf.Shelf()
    rows = [lay(stays), lay(stays)]
    assert aligner.look(rows[0]) is not None
    for _ in range(3):
        gone = shelf.Shelf()
        assert aligner.look(lay(gone)) is not None
        gone.close()
    del gone
    assert shelves_in_memory() == there + 3, "the one that stays, on both sides, and the last that went"
    new = shelf.Shelf()
    assert aligner.look(lay(new)) is not None
    assert shelves_in_memory() == there + 4, "two, on both sides"
    assert aligner.look(rows[1]) is not None


def test_a_number_that_is_another_shelfs_by_now_keeps_none_in_memory() -> None:
    without_garbage()
    there = shelves_in_memory()
    aligner, gone = opened(), shelf.Shelf()
    first = lay(gone)
    assert aligner.look(first) is not None
    gone.close()
    del gone
    new = shelf.Shelf()
    row = lay(new)
    assert row[:2] == first[:2]
    assert aligner.look(row) is not None
    assert shelves_in_memory() == there + 2


def test_that_no_shelf_can_be_opened_is_told_once() -> None:
    told: list[str] = []
    aligner = shelf.Shelves(told.append)
    gone = lay(shelf.Shelf())
    gone[0] = 1 << 40
    for _ in range(3):
        assert aligner.look(gone) is None
    assert len(told) == 1
    assert told[0].startswith(f"pictures are decoded twice: no shelf in process {1 << 40}: ")
    decoder = shelf.Shelf()
    assert aligner.look(lay(decoder)) is not None
    assert aligner.look(gone) is None
    assert len(told) == 2, "it went well in between"


def test_a_full_shelf_or_one_that_was_read_is_nothing_to_tell() -> None:
    told: list[str] = []
    decoder, aligner = shelf.Shelf(), shelf.Shelves(told.append)
    held = aligner.look(lay(decoder))
    assert held is not None
    assert aligner.give_back(held[0])
    assert aligner.look(list(held[0].row())) is None
    assert aligner.look(shelf.NOWHERE.tolist()) is None
    assert told == []
