"""What it gains to align faces from the picture instead of from the detector's frame of 640 pixels.

Every scene is asked about twice: as it is, and brought to the frame's size beforehand, without a loss, so that the
detector sees the same pixels and only the aligner has fewer of them.
"""

from __future__ import annotations

import asyncio
import io
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from PIL import Image

from visavis_accuracy.bootstrap import Interval, Resampled, interval_of, resample
from visavis_accuracy.evaluation import identity_numbers
from visavis_accuracy.photographs import Photograph, read_bytes
from visavis_accuracy.pipeline import Cutting, Pipeline
from visavis_accuracy.rates import threshold_at, true_match_rate_at
from visavis_accuracy.scenes import open_upright, set_back
from visavis_accuracy.scores import Floats, Ids, count_pairs
from visavis_accuracy.templates import Subject, analyse_patiently, side_by_side
from visavis_client.engine import MAX_FACES, Engine
from visavis_client.errors import PictureError
from visavis_client.faces import Face, Vector

RATE: Final = 1e-4
#: Photographs under way at once, and how many have their alignment timed.
CONCURRENCY, TIMED = 6, 30
#: Told how many pieces of work are done.
Done = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Known:
    """A photograph, and its subject's face in it."""

    photograph: Photograph
    face: Face


@dataclass(frozen=True, slots=True)
class Rate:
    """A true match rate at a false match rate of :data:`RATE`; None where the data cannot say."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Gain:
    """Both ways of alignment on the same photographs."""

    from_picture: Rate
    from_frame: Rate
    #: Of the difference, over the same draws of people.
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Row:
    """One size of the face."""

    #: Height in the frame, pixels; None: photographs as they are.
    face_px: float | None
    #: How many, and those in which a face is found both ways, which alone count.
    photographs: int
    found: int
    gain: Gain
    #: Medians over photographs.
    cutting: Cutting


async def locate(photographs: Sequence[Photograph], engine: Engine, done: Done) -> list[Known]:
    """Where the engine sees everybody's face; photographs without one, or that are no pictures, are left out.

    Raises:
        CollectionInvalid: a file is gone, or may not be read.
        EngineError: the engine failed, or stayed away for half a minute.
    """
    found: dict[int, Face] = {}
    waiting = iter(enumerate(photographs))

    async def work() -> None:
        for place, photograph in waiting:
            data = await asyncio.to_thread(read_bytes, photograph.path)
            try:
                await asyncio.to_thread(open_upright, data)
                face = Subject.CENTRAL.choose(await analyse_patiently(engine, data, max_faces=0))
            except PictureError:
                face = None
            if face is not None:
                found[place] = face
            done(1)

    await side_by_side(work, CONCURRENCY)
    return [Known(photographs[place], found[place]) for place in sorted(found)]


async def measure(known: Sequence[Known], face_px: float | None, engine: Engine, pipeline: Pipeline, done: Done) -> Row:
    """One row; ``done`` is told of every answer, two for each photograph.

    Raises:
        CollectionInvalid: a file is gone, or may not be read.
        EngineError: the engine failed, or stayed away for half a minute.
    """
    found: dict[int, tuple[Vector, Vector]] = {}
    waiting = iter(enumerate(known))

    async def work() -> None:
        for place, one in waiting:
            image, _ = await asyncio.to_thread(scene_of, one, face_px)
            picture = await _template(image, engine)
            done(1)
            frame = await _template(await asyncio.to_thread(_bitmap, pipeline, image), engine)
            done(1)
            if picture is not None and frame is not None:
                found[place] = picture, frame

    await side_by_side(work, CONCURRENCY)
    people = identity_numbers([known[place].photograph for place in sorted(found)])
    pictures, frames = (np.array([found[place][way] for place in sorted(found)], np.float32) for way in (0, 1))
    return Row(
        face_px, len(known), len(found), gain_of(pictures, frames, people), _typical_cutting(known, face_px, pipeline)
    )


async def _template(image: bytes, engine: Engine) -> Vector | None:
    """None where no face is found, or the engine refuses the scene."""
    try:
        face = Subject.CENTRAL.choose(await analyse_patiently(engine, image, max_faces=MAX_FACES))
    except PictureError:
        return None
    return face.template.vector if face and face.template else None


def _typical_cutting(known: Sequence[Known], face_px: float | None, pipeline: Pipeline) -> Cutting:
    """Medians over some of the photographs, with nothing else under way."""
    cuttings = [pipeline.cutting(*scene_of(one, face_px)) for one in known[:: max(1, len(known) // TIMED)]]
    return Cutting(*(statistics.median(getattr(one, way.name) for one in cuttings) for way in fields(Cutting)))


def gain_of(from_picture: Floats, from_frame: Floats, identities: Ids) -> Gain:
    """Templates (n, d) of the same photographs, aligned either way; identities are numbers (n,)."""
    if len(np.unique(identities)) < 2:
        return Gain(Rate(None, None), Rate(None, None), None)
    (one, drawn), (other, drawn_again) = (_rate(vectors, identities) for vectors in (from_picture, from_frame))
    differences = np.subtract(drawn.true_match_rates[RATE], drawn_again.true_match_rates[RATE])
    return Gain(one, other, interval_of(differences))


def _rate(vectors: Floats, identities: Ids) -> tuple[Rate, Resampled]:
    scores = count_pairs(vectors, identities)
    # The same seed: every draw is of the same people for either way.
    drawn = resample(scores, identities, (RATE,))
    threshold = threshold_at(scores, RATE)
    if threshold is None:
        return Rate(None, None), drawn
    return Rate(true_match_rate_at(scores, threshold), drawn.true_match_interval(RATE)), drawn


def scene_of(one: Known, face_px: float | None) -> tuple[bytes, Vector]:
    """The picture, and the face's landmarks in it: float32 (5, 2)."""
    image, landmarks = read_bytes(one.photograph.path), one.face.landmarks.rows()
    if face_px is None:
        return image, landmarks
    there = one.face.box
    scene = set_back(open_upright(image), there, face_px)
    scale = scene.face.width / there.width, scene.face.height / there.height
    moved = (landmarks - (there.left, there.top)) * scale + (scene.face.left, scene.face.top)
    return scene.image, moved.astype(np.float32)


def _bitmap(pipeline: Pipeline, image: bytes) -> bytes:
    """What the detector sees of the picture, as a file without a loss."""
    sink = io.BytesIO()
    Image.fromarray(pipeline.frame(image)).save(sink, "BMP")
    return sink.getvalue()
