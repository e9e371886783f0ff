"""Distinct photographs with a face each, in the sizes that clients send.

Where the research photographs lie beside the checkout, the 250×250 set is LFW as it is; the larger sets show such
a face, feathered into a crop of a real scene, because scenes large enough are few and every request must differ.
Elsewhere two public-domain portraits, turned, mirrored, scaled and lit differently, stand in for both.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import simplejpeg

from visavis_perf.places import CACHE, REPOSITORY, SHARED

#: What targets are stated for, as a record names them.
RESEARCH = "the research photographs"
#: uint8 (height, width, 3), blue first.
Pixels = npt.NDArray[Any]
JPEG_QUALITY = 90
#: Goes into the name of a cached set: another number for another way of making them.
_MAKING = 2
#: Crops of scenes that are looked at for one without a face.
_CROPS = 40


class PicturesMissing(Exception):
    """Nothing to make pictures of; its text says what to install or point to."""


@dataclass(frozen=True, slots=True)
class PictureSet:
    """One size of picture, and how many different ones are enough for a run."""

    name: str
    width: int
    height: int
    count: int

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6


#: 0.06, 0.3, 1, 4 and 12 megapixels; the counts keep every set under 100 MB.
PICTURE_SETS = {
    kind.name: kind
    for kind in (
        PictureSet("250", 250, 250, 512),
        PictureSet("0.3mp", 640, 480, 256),
        PictureSet("1mp", 1152, 864, 128),
        PictureSet("4mp", 2304, 1728, 32),
        PictureSet("12mp", 4032, 3024, 12),
    )
}


def pictures(name: str, source: Path | None = None, *, count: int | None = None) -> list[bytes]:
    """The JPEG files of a set, made on the first call and kept under ``.cache/perf``.

    ``source``: a directory of portraits, searched downwards; None means the research photographs or, without
    them, the public-domain portraits.

    Raises:
        PicturesMissing: there is nothing to make them of.
    """
    kind = PICTURE_SETS[name]
    faces, folder = _places(name, source)
    if not is_made(name, source):
        _make(kind, faces, folder)
    made = sorted(folder.glob("*.jpg"))[: count or kind.count]
    return [path.read_bytes() for path in made]


def is_made(name: str, source: Path | None) -> bool:
    """Whether a set lies there from an earlier call."""
    return (_places(name, source)[1] / "complete").exists()


def _places(name: str, source: Path | None) -> tuple[Path, Path]:
    """Where a set's faces come from, and where it lies."""
    faces = source or SHARED / "data" / "lfw"
    origin = hashlib.sha256(str(faces.resolve()).encode()).hexdigest()[:8] if faces.is_dir() else "portraits"
    return faces, CACHE / "pictures" / f"{name}-{origin}-{_MAKING}"


def described(sets: Mapping[str, Sequence[bytes]], source: Path | None) -> dict[str, Any]:
    """What a result was measured with: whence, and of each set how many, how large, how heavy."""
    if source is not None:
        origin = "photographs of one's own"
    else:
        there = (SHARED / "data" / "lfw").is_dir()
        origin = RESEARCH if there else "two public-domain portraits, turned and lit differently"
    rows = {}
    for name, jpegs in sets.items():
        sizes = [simplejpeg.decode_jpeg_header(jpeg)[:2] for jpeg in jpegs]
        rows[name] = {
            "count": len(jpegs),
            "median_megapixels": round(median(height * width for height, width in sizes) / 1e6, 3),
            "median_kb": round(median(map(len, jpegs)) / 1000, 1),
        }
    return {"source": origin, "sets": rows}


def _make(kind: PictureSet, faces: Path, folder: Path) -> None:
    """Write the set; the mark ``complete`` comes last, so that a broken run is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    drawn = _from_photographs(kind, faces) if faces.is_dir() else _from_portraits(kind, _portraits())
    seen: set[bytes] = set()
    for encoded in drawn:
        digest = hashlib.sha256(encoded).digest()
        if digest not in seen:
            (folder / f"{len(seen):04d}.jpg").write_bytes(encoded)
            seen.add(digest)
        if len(seen) == kind.count:
            break
    if not seen:
        raise PicturesMissing(f"no JPEG picture lies in {faces}")
    (folder / "complete").touch()


def _from_photographs(kind: PictureSet, faces: Path) -> Iterator[bytes]:
    """Different people first: one picture of each folder, then the second of each."""
    by_person: dict[Path, list[Path]] = {}
    for path in sorted(faces.rglob("*.jpg")):
        by_person.setdefault(path.parent, []).append(path)
    turns = max(map(len, by_person.values()), default=0)
    ordered = [rows[turn] for turn in range(turns) for rows in by_person.values() if turn < len(rows)]
    if kind.name == "250":
        yield from (path.read_bytes() for path in ordered)
        return
    # Read once: reading one for each crop took nearly half of the time.
    scenes = [cv2.imread(str(path)) for path in sorted((SHARED / "data" / "scenes" / "compreface").glob("*.jpg"))]
    chance = np.random.default_rng(kind.width)
    detector = _detector()
    for path in ordered:
        face = cv2.imread(str(path))
        if face is not None:
            background = next(filter(lambda crop: _empty(crop, detector), _backgrounds(kind, scenes, chance)))
            yield _encode(_compose(kind, face, background, chance))


def _detector() -> ort.InferenceSession | None:
    """The graph that will look for faces; None where it was not exported yet."""
    graph = REPOSITORY / "face_detector" / "1" / "model.onnx"
    return ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"]) if graph.is_file() else None


def _empty(crop: Pixels, detector: ort.InferenceSession | None) -> bool:
    """Whether nobody is found: the limit knows one face a picture, and some contracts embed all."""
    if detector is None:
        return True
    side = int(detector.get_inputs()[0].shape[1])
    scale = side / max(crop.shape[:2])
    size = (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
    framed = np.zeros((1, side, side, 3), np.uint8)
    framed[0, : size[1], : size[0]] = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)[..., ::-1]
    return not detector.run(["face_count"], {"image": framed})[0].any()


def _backgrounds(kind: PictureSet, scenes: Sequence[Pixels], chance: np.random.Generator) -> Iterator[Pixels]:
    """Crops to choose from; upside down, so that few of their people are found, and plain noise after many."""
    for _ in range(_CROPS if scenes else 0):
        yield _background(kind, scenes, chance)
    yield chance.integers(60, 190, (kind.height, kind.width, 3)).astype(np.uint8)


def _background(kind: PictureSet, scenes: Sequence[Pixels], chance: np.random.Generator) -> Pixels:
    """A crop of a scene at the set's size: real texture, so that the JPEG weighs what a camera's does."""
    scene = scenes[int(chance.integers(len(scenes)))]
    scale = max(kind.width / scene.shape[1], kind.height / scene.shape[0]) * float(chance.uniform(1.0, 1.5))
    size = (max(kind.width, round(scene.shape[1] * scale)), max(kind.height, round(scene.shape[0] * scale)))
    scene = cv2.resize(scene, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top = int(chance.integers(scene.shape[0] - kind.height + 1))
    left = int(chance.integers(scene.shape[1] - kind.width + 1))
    crop: Pixels = scene[top : top + kind.height, left : left + kind.width][::-1].copy()
    return crop


def _compose(kind: PictureSet, face: Pixels, background: Pixels, chance: np.random.Generator) -> Pixels:
    """Blend a portrait into the background, a third to two thirds as high as the picture."""
    side = int(kind.height * chance.uniform(0.6, 0.95))
    portrait = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    # A camera's grain: without it the enlarged face would be cheaper to decode than a photograph.
    grain = cv2.resize(chance.normal(0, 4, (kind.height // 4, kind.height // 4, 1)).astype(np.float32), (side, side))
    portrait += grain[..., None]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    weight = np.clip((1.0 - np.sqrt(x * x + y * y)) * 6.0, 0.0, 1.0)[..., None]
    top = int(chance.integers(kind.height - side + 1))
    left = int(chance.integers(kind.width - side + 1))
    place = background[top : top + side, left : left + side]
    place[:] = np.clip(place * (1 - weight) + portrait * weight, 0, 255).astype(np.uint8)
    return background


def _portraits() -> list[Pixels]:
    """Grace Hopper and Eileen Collins, both in the public domain, out of packages that carry them."""
    found = []
    for package, inside in (
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        ("skimage", "data/astronaut.png"),
    ):
        try:
            data = files(package).joinpath(inside).read_bytes()
        except (ModuleNotFoundError, FileNotFoundError):
            continue
        found.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    if not found:
        raise PicturesMissing("install matplotlib or scikit-image for their portraits, or name a directory of pictures")
    return found


def _from_portraits(kind: PictureSet, portraits: Sequence[Pixels]) -> Iterator[bytes]:
    chance = np.random.default_rng(kind.width)
    while True:
        for portrait in portraits:
            height, width = portrait.shape[:2]
            scale = max(kind.width / width, kind.height / height) * float(chance.uniform(1.0, 1.15))
            turn = cv2.getRotationMatrix2D((width / 2, height * 0.3), float(chance.uniform(-8, 8)), scale)
            turn[0, 2] += kind.width / 2 - width / 2
            turn[1, 2] += kind.height * 0.4 - height * 0.3
            drawn = cv2.warpAffine(
                portrait, turn, (kind.width, kind.height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
            if chance.random() < 0.5:
                drawn = cv2.flip(drawn, 1)
            light = np.clip(drawn * chance.uniform(0.8, 1.2) + chance.normal(0, 2, (*drawn.shape[:2], 1)), 0, 255)
            yield _encode(light.astype(np.uint8))


def _encode(picture: Pixels) -> bytes:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()
