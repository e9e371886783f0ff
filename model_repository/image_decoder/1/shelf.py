"""Decoded pictures laid by for the aligner, in memory that decoder and aligner both see. Knows no Triton.

Triton copies a tensor three times between two Python models. A picture of a megapixel has three megabytes, of which the
aligner looks at a few per cent; so what goes through Triton is the place where it lies, seven numbers.

A shelf belongs to one decoder process. It is a memory file without a name, which the aligner opens through ``/proc``
and which ends with the last process that has it open. It has ``SLOTS`` slots of one picture each. The numbers at its
beginning say which ticket was lent last for each slot, written by the decoder alone, and which one came back, written
by whoever held it. A slot whose ticket does not come back (its request ended between the two steps) is lent anew after
``LENT_S`` seconds; a reader that was slower sees that from the ticket when it has read.

A shelf is a short cut and no more: where it is full, gone or not to be had, the aligner decodes the file once more.
That a shelf cannot be opened is told, because each picture then costs its decoding twice.
"""

from __future__ import annotations

import mmap
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
#: int64 (7,): see :class:`Place`.
PlaceRow = npt.NDArray[np.int64]

SLOTS = 16
#: What the decoder hands out is hardly ever longer than twice the detector's frame of 640 pixels.
SLOT_BYTES = 1280 * 1280 * 3
#: A little longer than the proxy waits for Triton (``VISAVIS_ENGINE_TIMEOUT_S``, 8 s unless it is set): then nobody
#: waits for the picture any more. To whoever does wait longer it costs a second decoding, and nothing worse.
LENT_S = 10.0
NAME = "visavis-shelf"
#: What ``/proc`` shows for such a memory file, and for nothing that has a name.
LINK = f"/memfd:{NAME} (deleted)"
#: The shelf's key, and the tickets lent and come back: 64 bits each.
_WORDS = 1 + 2 * SLOTS
_HEAD = mmap.PAGESIZE
_SIZE = _HEAD + SLOTS * SLOT_BYTES


@dataclass(frozen=True)
class Place:
    """Where a picture lies: a process and its file, the key that proves the file to be that one, slot, ticket, size."""

    process: int
    file: int
    key: int
    slot: int
    ticket: int
    height: int
    width: int

    @property
    def valid(self) -> bool:
        """Whether such a place can be: these numbers come through Triton, from whoever may ask it."""
        fits = self.height > 0 and self.width > 0 and self.height * self.width * 3 <= SLOT_BYTES
        return self.process > 0 and self.file >= 0 and 0 <= self.slot < SLOTS and self.ticket > 0 and fits

    def row(self) -> PlaceRow:
        """As it goes through Triton."""
        numbers = (self.process, self.file, self.key, self.slot, self.ticket, self.height, self.width)
        return np.array(numbers, np.int64)


#: Says that a picture lies nowhere.
NOWHERE = np.zeros(7, np.int64)


class _Memory:
    """A shelf's file, mapped.

    Raises:
        OSError: it cannot be mapped.
        ValueError: it is shorter than a shelf.
    """

    def __init__(self, descriptor: int) -> None:
        self.identity = _identity(os.fstat(descriptor))
        whole = mmap.mmap(descriptor, _SIZE)
        words = memoryview(whole)[: 8 * _WORDS].cast("q")
        self.key, self.lent, self.returned = words[:1], words[1 : 1 + SLOTS], words[1 + SLOTS :]
        self.pictures = np.frombuffer(whole, np.uint8, SLOTS * SLOT_BYTES, _HEAD).reshape(SLOTS, SLOT_BYTES)


class Shelf:
    """The decoder's side. Used by one thread.

    Raises:
        OSError: the system has no such memory files.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = os.memfd_create(NAME, os.MFD_CLOEXEC)
        os.ftruncate(self._file, _SIZE)
        self._memory = _Memory(self._file)
        self._memory.key[0] = self._key = secrets.randbits(62) + 1
        self._clock = clock
        self._lent_at = [0.0] * SLOTS
        self._tickets = 0

    def free(self) -> int | None:
        """A slot to fill: the lowest one, whose memory is the likeliest to be warm. None where all are lent."""
        lent, returned = self._memory.lent, self._memory.returned
        for slot in range(SLOTS):
            if lent[slot] == returned[slot]:
                return slot
        longest = min(range(SLOTS), key=self._lent_at.__getitem__)
        return longest if self._clock() - self._lent_at[longest] > LENT_S else None

    def room(self, slot: int) -> Pixels:
        """Bytes (SLOT_BYTES,) to decode into; whoever still holds a ticket for them sees that they went."""
        self._tickets += 1
        self._memory.lent[slot] = self._tickets
        self._lent_at[slot] = self._clock()
        room: Pixels = self._memory.pictures[slot]
        return room

    def lay(self, picture: Pixels, slot: int) -> PlaceRow:
        """Lay a picture (h, w, 3) into the slot whose room was asked for last, unless it was decoded there."""
        room = self._memory.pictures[slot]
        if picture.nbytes > SLOT_BYTES:
            self.take_back(slot)
            return NOWHERE
        if not np.may_share_memory(picture, room):
            room[: picture.size].reshape(picture.shape)[...] = picture
        height, width = picture.shape[:2]
        return Place(os.getpid(), self._file, self._key, slot, self._tickets, height, width).row()

    def close(self) -> None:
        """Nobody can open the shelf any more; whoever has it open keeps it."""
        os.close(self._file)

    def take_back(self, slot: int) -> None:
        """Nothing was laid into a slot after all."""
        self._memory.returned[slot] = self._memory.lent[slot]


class Shelves:
    """The aligner's side: every decoder's shelf, opened when it is first heard of. Used by one thread.

    ``tell`` is given one sentence when a shelf cannot be opened, and no other before one could be again.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._open: dict[tuple[int, int, int], _Memory] = {}
        self._tell = tell
        self._told = False

    def look(self, row: Sequence[int]) -> tuple[Place, Pixels] | None:
        """The picture (h, w, 3) at a place, to be read in place and given back; None where it does not lie there."""
        place = Place(*map(int, row))
        memory = self._memory(place) if place.valid else None
        if memory is None or memory.lent[place.slot] != place.ticket or memory.returned[place.slot] == place.ticket:
            return None
        flat = memory.pictures[place.slot, : place.height * place.width * 3]
        return place, flat.reshape(place.height, place.width, 3)

    def give_back(self, place: Place) -> bool:
        """Let the decoder use the slot again; False where it has done so before, and what was read may be another's."""
        memory = self._open[place.process, place.file, place.key]
        if memory.lent[place.slot] != place.ticket:
            return False
        memory.returned[place.slot] = place.ticket
        return True

    def _memory(self, place: Place) -> _Memory | None:
        name = place.process, place.file, place.key
        if name not in self._open:
            try:
                memory = _opened(place)
            except OSError as reason:
                if not self._told:
                    self._tell(f"pictures are decoded twice: no shelf in process {place.process}: {reason}")
                self._told = True
                return None
            # A decoder that is new may stand for one that is gone, whose shelf would stay in memory as long as we do.
            self._open = {other: held for other, held in self._open.items() if _is_there(other, held)}
            self._open[name] = memory
            self._told = False
        return self._open[name]


def _opened(place: Place) -> _Memory:
    """The shelf that a place names.

    Raises:
        OSError: there is none, or something else, or it may not be opened.
    """
    path = _path(place.process, place.file)
    if os.readlink(path) != LINK:
        raise OSError(f"{path} is something else")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        memory = _Memory(descriptor)
    except ValueError as error:
        raise OSError(f"{path} is something else") from error
    finally:
        os.close(descriptor)
    if memory.key[0] != place.key:
        raise OSError(f"{path} is another one")
    return memory


def _is_there(name: tuple[int, int, int], memory: _Memory) -> bool:
    """Whether the shelf's decoder still has it open: its number may be another process's by now."""
    try:
        return _identity(os.stat(_path(*name[:2]))) == memory.identity
    except OSError:
        return False


def _path(process: int, file: int) -> str:
    return f"/proc/{process}/fd/{file}"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
