"""What goes into Triton's ensemble ``face_analysis`` and what comes out of it, by whichever protocol.

Tensor names and shapes are those of docs/architecture.md; a test holds them against the configuration and the graphs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from visavis_client.errors import (
    EngineBusy,
    EngineFault,
    EngineTimeout,
    EngineUnavailable,
    PictureTooLarge,
    PictureUnreadable,
    RegionInvalid,
    VisavisError,
)
from visavis_client.faces import (
    BoundingBox,
    Face,
    ImageSize,
    Landmarks,
    ModelIdentity,
    PictureAnalysis,
    Pose,
    Template,
)

MODEL = "face_analysis"
INPUTS = {"image": ("BYTES", [1]), "max_faces": ("INT32", [1]), "region": ("INT32", [4])}
OUTPUTS = {
    "boxes": np.float32,
    "landmarks": np.float32,
    "detection_scores": np.float32,
    "pose": np.float32,
    "sharpness": np.float32,
    "embeddings": np.float32,
    "image_size": np.int32,
    "face_count": np.int32,
}
#: An encoded picture of the largest contract and some room for the rest of a message.
MAX_MESSAGE_BYTES = 64 * 2**20
#: The word that a fault of the picture begins with, behind Triton's "in ensemble '…', ".
PICTURE_FAULTS: dict[str, type[VisavisError]] = {
    "picture_unreadable: ": PictureUnreadable,
    "picture_too_large: ": PictureTooLarge,
    "region_invalid: ": RegionInvalid,
}
_WHOLE = bytes(4 * np.dtype(np.int32).itemsize)

#: An output's name, shape and contents.
Tensor = tuple[str, Iterable[int], bytes]
_Rows = Mapping[str, npt.NDArray[np.generic]]


def contents_of(image: bytes, max_faces: int, region: BoundingBox | None) -> tuple[tuple[bytes, ...], ...]:
    """The bytes of the three INPUTS, in their order, each in pieces: the picture itself, uncopied, is one of them."""
    sides = _WHOLE
    if region is not None:
        pixels = np.array([region.left, region.top, region.width, region.height]).round()
        sides = pixels.astype("<i4").tobytes()
    # A tensor of strings has each one's length before it.
    return (struct.pack("<I", len(image)), image), (struct.pack("<i", max_faces),), (sides,)


def analysis_of(outputs: Iterable[Tensor], model: ModelIdentity) -> PictureAnalysis:
    """What the OUTPUTS say, in whichever order they come.

    Raises:
        EngineFault: they are not as documented.
    """
    try:
        rows = {name: np.frombuffer(raw, OUTPUTS[name]).reshape(tuple(shape)) for name, shape, raw in outputs}
        found, embedded = rows["face_count"].tolist()
        width, height = rows["image_size"].tolist()
        return PictureAnalysis(ImageSize(width, height), _faces(rows, found, embedded, model))
    except (ValueError, TypeError, LookupError) as error:
        raise EngineFault(f"an answer of an unexpected shape: {error}") from error


def _faces(rows: _Rows, found: int, embedded: int, model: ModelIdentity) -> tuple[Face, ...]:
    # As Python's numbers, all in one go: taken out of the arrays one by one they cost ten times as much.
    columns = [rows[name].tolist()[:found] for name in ("boxes", "landmarks", "detection_scores", "pose", "sharpness")]
    templates = [
        Template.from_embedding(rows["embeddings"][row], model) if row < embedded else None for row in range(found)
    ]
    return tuple(
        Face(BoundingBox(*box), Landmarks(*map(tuple, points)), score, Pose(*pose), sharpness, template)
        for box, points, score, pose, sharpness, template in zip(*columns, templates, strict=True)
    )


def fault_in(text: str) -> VisavisError | None:
    """The leaf of the error tree that Triton's own words name; None where they leave it to the status."""
    for word, leaf in PICTURE_FAULTS.items():
        before, found, after = text.partition(word)
        if found and (not before or before.startswith("in ensemble")):
            return leaf(after)
    words = text.lower()
    if "timeout expired" in words:
        return EngineTimeout("no answer from Triton in time")
    if "exceeds maximum queue size" in words:
        return EngineBusy("Triton's queue is full")
    # One instance's process is gone or hangs: whoever keeps Triton up starts it anew.
    if "stub process" in words and "not healthy" in words:
        return EngineUnavailable(text[:200])
    return None
