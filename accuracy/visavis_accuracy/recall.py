"""Which faces are found? The running ensemble and a reference detector on the same synthetic scenes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from PIL import Image

from visavis_accuracy.photographs import Photograph
from visavis_accuracy.proportions import p_value_of_shortfall
from visavis_accuracy.scenes import CASES, Case, Kind, Scene, make_scene, open_upright
from visavis_accuracy.templates import Subject, analyse_patiently, side_by_side
from visavis_client.engine import Engine
from visavis_client.errors import PictureError
from visavis_client.faces import BoundingBox, Face

#: Intersection over union from which a found box is the face.
OVERLAP: Final = 0.4
#: What is demanded: the share of close-ups, and from which size on faces are found as the reference finds them.
CLOSE_UPS_FOUND, SMALLEST_PX, SIGNIFICANCE = 0.99, 24, 0.05
#: Photographs under way at once.
CONCURRENCY: Final = 6


class ReferenceDetector(Protocol):
    """Finds faces at several scales, each for itself. Called from threads."""

    @property
    def sizes(self) -> Sequence[int]:
        """The scales: pixels of the longer side."""
        ...

    def find(self, image: bytes) -> dict[int, list[BoundingBox]]:
        """By scale, the faces in pixels of the upright picture."""
        ...


class NoReference:
    """Stands in where there is none to compare with: no scales, and nothing found at them."""

    sizes: Sequence[int] = ()

    def find(self, image: bytes) -> dict[int, list[BoundingBox]]:  # noqa: ARG002 (as the protocol has it)
        """Nothing, and the picture is not looked at."""
        return {}


@dataclass(frozen=True, slots=True)
class Row:
    """One case on all photographs, in the same order on either side: was the face found?

    ``theirs`` by the reference's scales; empty where there is no reference.
    """

    case: Case
    ours: tuple[bool, ...]
    theirs: dict[int, tuple[bool, ...]]

    @property
    def best_size(self) -> int | None:
        """The scale at which the reference finds most; None without a reference, as all that is said of one."""
        return max(self.theirs, key=lambda size: sum(self.theirs[size]), default=None)

    @property
    def best(self) -> tuple[bool, ...] | None:
        """What the reference finds at that scale."""
        return None if self.best_size is None else self.theirs[self.best_size]

    @property
    def p_value(self) -> float | None:
        """See :func:`~visavis_accuracy.proportions.p_value_of_shortfall`, against the best scale."""
        return None if self.best is None else p_value_of_shortfall(self.ours, self.best)


@dataclass(frozen=True)
class Recall:
    """Everything a report shows."""

    rows: tuple[Row, ...]
    #: Photographs in which no face was found to begin with, and files that are no picture: left out.
    without_face: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def photographs(self) -> int:
        """How many became scenes."""
        return len(self.rows[0].ours) if self.rows else 0

    def of(self, kind: Kind) -> Iterator[Row]:
        """The rows of one kind."""
        return (row for row in self.rows if row.case.kind is kind)

    @cached_property
    def close_ups(self) -> tuple[bool, ...]:
        """Of every close-up: was the face found? Several are of one photograph."""
        return tuple(one for row in self.of(Kind.CLOSE_UP) for one in row.ours)

    @property
    def close_ups_found(self) -> float | None:
        """The share over all close-ups; None where there are none."""
        return sum(self.close_ups) / len(self.close_ups) if self.close_ups else None

    @cached_property
    def shortfalls(self) -> tuple[Row, ...]:
        """Sizes at which fewer faces are found than by the reference, beyond chance.

        The reference may choose its scale for every size after the fact, and each size has its share of the one
        chance in twenty of a false alarm (Bonferroni).
        """
        judged = [row for row in self.of(Kind.SIZE) if row.case.value >= SMALLEST_PX]
        return tuple(row for row in judged if row.p_value is not None and row.p_value < SIGNIFICANCE / len(judged))

    @property
    def complaints(self) -> list[str]:
        """What is not as it is demanded, a sentence each."""
        said = [
            f"faces of {row.case.value:g} px: {sum(row.ours)} found, {sum(row.best or ())} by the reference "
            f"at {row.best_size} px (p = {row.p_value:.1g})"
            for row in self.shortfalls
        ]
        if self.close_ups_found is not None and self.close_ups_found < CLOSE_UPS_FOUND:
            said.append(f"close-ups: {self.close_ups_found:.2%} found, not {CLOSE_UPS_FOUND:.0%}")
        return said


@dataclass(slots=True)
class _Found:
    """The answers for one photograph, in the order of the cases."""

    ours: list[bool] = field(default_factory=list)
    theirs: dict[int, list[bool]] = field(default_factory=dict)


def covers(boxes: Sequence[BoundingBox], scene: Scene) -> bool:
    """Whether one of the boxes is the scene's face; what lies outside the picture counts on neither side."""
    face = _inside(scene.face, scene)
    return any(box is not None and face.overlap(box) >= OVERLAP for box in (_inside_or_none(b, scene) for b in boxes))


def _inside_or_none(box: BoundingBox, scene: Scene) -> BoundingBox | None:
    left, right = max(0.0, box.left), min(float(scene.width), box.left + box.width)
    top, bottom = max(0.0, box.top), min(float(scene.height), box.top + box.height)
    return BoundingBox(left, top, right - left, bottom - top) if right > left and bottom > top else None


def _inside(box: BoundingBox, scene: Scene) -> BoundingBox:
    return _inside_or_none(box, scene) or box


async def measure_recall(
    photographs: Sequence[Photograph],
    engine: Engine,
    reference: ReferenceDetector,
    progress: Callable[[int], None],
    *,
    seed: int = 0,
    cases: Sequence[Case] = CASES,
) -> Recall:
    """So many of all cases for every photograph; ``progress`` is told how many photographs are done.

    Raises:
        EngineError: the engine failed, or stayed away for half a minute.
    """
    answers: list[_Found | None] = [None] * len(photographs)
    without_face: list[str] = []
    unreadable: list[str] = []
    waiting = iter(range(len(photographs)))
    done = itertools.count(1)

    async def work() -> None:
        for place in waiting:
            path = photographs[place].path
            try:
                photograph, face = await _truth(path, engine)
                if face is None:
                    without_face.append(path.name)
                else:
                    # A scene is the same whichever others are asked for.
                    draws = [np.random.default_rng([seed, place, CASES.index(case)]) for case in cases]
                    answers[place] = await _look(photograph, face.box, cases, draws, engine, reference)
            except (PictureError, OSError):
                unreadable.append(path.name)
            progress(next(done))

    await side_by_side(work, CONCURRENCY)
    found = [answer for answer in answers if answer is not None]
    rows = tuple(_row(case, number, found, reference.sizes) for number, case in enumerate(cases))
    return Recall(rows, tuple(sorted(without_face)), tuple(sorted(unreadable)))


async def _truth(path: Path, engine: Engine) -> tuple[Image.Image, Face | None]:
    """The upright photograph, and where the engine sees its subject."""
    data = await asyncio.to_thread(path.read_bytes)
    seen = await analyse_patiently(engine, data, max_faces=0)
    return await asyncio.to_thread(open_upright, data), Subject.CENTRAL.choose(seen)


async def _look(
    photograph: Image.Image,
    face: BoundingBox,
    cases: Sequence[Case],
    draws: Sequence[np.random.Generator],
    engine: Engine,
    reference: ReferenceDetector,
) -> _Found:
    found = _Found()
    for case, draw in zip(cases, draws, strict=True):
        scene = await asyncio.to_thread(make_scene, photograph, face, case, draw)
        found.ours.append(covers(await _seen(scene.image, engine), scene))
        for size, boxes in (await asyncio.to_thread(reference.find, scene.image)).items():
            found.theirs.setdefault(size, []).append(covers(boxes, scene))
    return found


async def _seen(image: bytes, engine: Engine) -> list[BoundingBox]:
    """None in a scene that the engine refuses: a face that is not found, however that came about."""
    try:
        return [face.box for face in (await analyse_patiently(engine, image, max_faces=0)).faces]
    except PictureError:
        return []


def _row(case: Case, number: int, found: Sequence[_Found], sizes: Sequence[int]) -> Row:
    ours = tuple(one.ours[number] for one in found)
    return Row(case, ours, {size: tuple(one.theirs[size][number] for one in found) for size in sizes})
