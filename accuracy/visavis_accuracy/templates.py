"""Templates of many photographs through the engine: with progress, resumable, cached by content and model."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import math
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visavis_accuracy.files import PlaceUnusable
from visavis_accuracy.photographs import Photograph, read_bytes
from visavis_client.engine import MAX_FACES, Engine
from visavis_client.errors import EngineBusy, EngineUnavailable, PictureError
from visavis_client.faces import Face, ModelIdentity, PictureAnalysis

#: Pictures under way at once: enough to keep every stage of the ensemble busy.
CONCURRENCY = 12
#: Seconds to wait for an engine that is busy or restarting, and how often.
PATIENCE_S, ATTEMPTS = 1.0, 30


class Subject(StrEnum):
    """Which face of a photograph is the person it is named after.

    Labelled collections such as LFW have that person in the middle, and now and then a larger bystander; the
    contracts compare the largest face.
    """

    CENTRAL = "central"
    LARGEST = "largest"

    def choose(self, found: PictureAnalysis) -> Face | None:
        """The subject, or None in a picture without a face."""
        if self is Subject.LARGEST or not found.faces:
            return found.largest
        middle = found.image_size.width / 2, found.image_size.height / 2
        return min(found.faces, key=lambda face: math.dist(middle, _centre(face)))


def _centre(face: Face) -> tuple[float, float]:
    return face.box.left + face.box.width / 2, face.box.top + face.box.height / 2


#: Told after every photograph: how many are done.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the engine made of a list of photographs."""

    #: float32 (n, d), unit length; rows of photographs without a face are zeros.
    vectors: npt.NDArray[np.float32]
    #: bool (n,): a face was found.
    found: npt.NDArray[np.bool_]
    #: sha256 of each file.
    contents: list[str]
    #: Names of the photographs that are no readable picture, in their order.
    unreadable: list[str] = field(default_factory=list)
    #: Photographs analysed now (the rest came from the cache), the seconds that took, and how many were under way.
    analysed: int = 0
    seconds: float = 0.0
    concurrency: int = CONCURRENCY

    @property
    def answered(self) -> int:
        """Photographs analysed now whose picture could be read."""
        return self.analysed - len(self.unreadable)


def maker_of(repository: Path, models: Mapping[str, Any]) -> ModelIdentity:
    """Everything that makes templates what they are: graphs, the steps in Python, and how the steps are configured.

    The embedder's identity says which templates may be compared; a cache asks for more. Comments count too: rather
    made anew than answered by a decoder or an aligner of another day.
    """
    steps = hashlib.sha256()
    for path in sorted(
        path for kind in ("*/1/*.py", "*/*.pbtxt", "*/configs/*.pbtxt") for path in repository.glob(kind)
    ):
        steps.update(f"{path.relative_to(repository)}\0{hashlib.sha256(read_bytes(path)).hexdigest()}\n".encode())
    return ModelIdentity(f"{models['identity']} {models['detector']['sha256'][:12]} {steps.hexdigest()[:12]}")


class TemplateCache:
    """One SQLite file, readable by its owner alone: (content, model and choice of face) -> a template, or none."""

    def __init__(self, path: Path | None) -> None:
        """None: keep nothing on disk. All methods raise PlaceUnusable where the file cannot be used."""
        self._path = path
        with self._told():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)
            self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS templates "
                "(content TEXT, model TEXT, vector BLOB, PRIMARY KEY (content, model))"
            )

    def find(self, content: str, model: str) -> bytes | None:
        """The template's float32 bytes, empty where no face was found, None where nothing is known."""
        with self._told():
            row = self._database.execute(
                "SELECT vector FROM templates WHERE content = ? AND model = ?", (content, model)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def keep(self, content: str, model: str, vector: bytes) -> None:
        """Remember an answer."""
        with self._told():
            self._database.execute("INSERT OR REPLACE INTO templates VALUES (?, ?, ?)", (content, model, vector))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise PlaceUnusable(
                f"templates cannot be kept in {self._path} ({error}): delete that file, or say --no-cache"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()


async def enrol(
    photographs: Sequence[Photograph],
    engine: Engine,
    cache: TemplateCache,
    progress: Progress,
    subject: Subject = Subject.CENTRAL,
    *,
    concurrency: int = CONCURRENCY,
) -> Enrolled:
    """The subject's template of every photograph, so many pictures under way at once.

    Raises:
        CollectionInvalid: a file is gone, or may not be read.
        PlaceUnusable: the cache cannot be used.
        EngineError: the engine failed, or stayed away for half a minute.
    """
    answers: list[bytes] = [b""] * len(photographs)
    contents = [""] * len(photographs)
    unreadable: set[int] = set()
    waiting = iter(range(len(photographs)))
    done, analysed = itertools.count(1), 0

    async def work() -> None:
        nonlocal analysed
        for place in waiting:
            data = read_bytes(photographs[place].path)
            contents[place] = hashlib.sha256(data).hexdigest()
            answer, asked = await _answer(data, contents[place], engine, cache, subject)
            if answer is None:
                unreadable.add(place)
            answers[place] = answer or b""
            analysed += asked
            progress(next(done))

    started = time.perf_counter()
    await side_by_side(work, concurrency)
    vectors, found = _rows(answers)
    broken = [photographs[place].name for place in sorted(unreadable)]
    return Enrolled(vectors, found, contents, broken, analysed, time.perf_counter() - started, concurrency)


async def side_by_side(work: Callable[[], Coroutine[None, None, None]], times: int) -> None:
    """Run it so many times at once: it takes what is to do from an iterator that all of them share.

    Raises:
        ExceptionGroup: one failed, and the others were stopped.
    """
    async with asyncio.TaskGroup() as group:
        for _ in range(times):
            group.create_task(work())


async def _answer(
    data: bytes, content: str, engine: Engine, cache: TemplateCache, subject: Subject
) -> tuple[bytes | None, bool]:
    """Float32 bytes, empty where no face is found, None for what is no picture; and whether the engine was asked."""
    maker = f"{engine.model} {subject}"
    if (known := cache.find(content, maker)) is not None:
        return known, False
    try:
        made = await _template(engine, data, subject)
    except PictureError:
        return None, True
    cache.keep(content, maker, made)
    return made, True


async def _template(engine: Engine, data: bytes, subject: Subject) -> bytes:
    wanted = 1 if subject is Subject.LARGEST else MAX_FACES
    face = subject.choose(await analyse_patiently(engine, data, max_faces=wanted))
    return face.template.vector.tobytes() if face and face.template else b""


async def analyse_patiently(engine: Engine, image: bytes, *, max_faces: int) -> PictureAnalysis:
    """Ask again while the engine is busy or restarting, for half a minute.

    Raises:
        PictureError, EngineError: as the engine does.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await engine.analyse(image, max_faces=max_faces)
        except (EngineBusy, EngineUnavailable):
            await asyncio.sleep(PATIENCE_S)
    return await engine.analyse(image, max_faces=max_faces)


def _rows(answers: Sequence[bytes]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    length = max(map(len, answers), default=0) // 4
    vectors = np.zeros((len(answers), max(length, 1)), np.float32)
    found = np.zeros(len(answers), np.bool_)
    for row, answer in enumerate(answers):
        if answer:
            vectors[row], found[row] = np.frombuffer(answer, np.float32), True
    return vectors, found
