"""Values of the face domain: frozen, and right by construction.

All positions are pixels of the upright original picture: x to the right, y down, the origin in the top left
corner. "Left" and "right" are the viewer's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NewType

import numpy as np
import numpy.typing as npt

#: float32 (d,): an embedding or a template.
Vector = npt.NDArray[np.float32]

#: Names the embedder that made a template: pack name and digest of the graph.
ModelIdentity = NewType("ModelIdentity", str)


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Pixels of the upright picture."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an image has at least one pixel, not {self.width}x{self.height}")


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A face's rectangle in pixels; it may leave the picture a little, as detectors' boxes do."""

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.left, self.top, self.width, self.height))):
            raise ValueError("a bounding box is finite")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a bounding box has an area, not {self.width}x{self.height}")

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def overlap(self, other: BoundingBox) -> float:
        """Intersection over union, 0 to 1."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        if across <= 0 or down <= 0:
            return 0.0
        return across * down / (self.area + other.area - across * down)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Five points in pixels: the viewer's left eye, right eye, nose tip, left and right mouth corner."""

    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    nose: tuple[float, float]
    left_mouth: tuple[float, float]
    right_mouth: tuple[float, float]

    @classmethod
    def from_rows(cls, rows: npt.NDArray[np.float32]) -> Landmarks:
        """Read float32 (5, 2), in the order of the fields."""
        return cls(*map(tuple, rows.tolist()))

    def rows(self) -> npt.NDArray[np.float32]:
        """float32 (5, 2), in the order of the fields."""
        points = (self.left_eye, self.right_eye, self.nose, self.left_mouth, self.right_mouth)
        return np.asarray(points, np.float32)


@dataclass(frozen=True, slots=True)
class Pose:
    """A head's turn in degrees, zeros for a face that looks straight into the camera.

    yaw > 0: it looks to the viewer's right; pitch > 0: it looks up; roll > 0: its top leans to the viewer's
    right (clockwise as seen).
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """An embedding of unit length with the identity of the model that made it.

    Templates of different models are not comparable. Biometric data: its repr shows no number.
    """

    vector: Vector
    model: ModelIdentity
    #: The length of the raw embedding, so that a contract may give back the raw numbers.
    norm: float = 1.0

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or not self.vector.size:
            raise ValueError(f"a template is one row of numbers, not {self.vector.shape}")
        if not abs(float(np.dot(self.vector, self.vector)) - 1.0) <= 1e-3:  # so that a nan is refused as well
            raise ValueError("a template has unit length")
        self.vector.setflags(write=False)

    @classmethod
    def from_embedding(cls, embedding: Vector, model: ModelIdentity) -> Template:
        """Normalise a raw embedding, float32 (d,)."""
        raw = np.asarray(embedding, np.float32)
        norm = math.sqrt(np.dot(raw, raw))
        if not math.isfinite(norm) or norm <= 0:
            raise ValueError("an embedding without length or with a number that is none")
        return cls(raw / np.float32(norm), model, norm)

    def embedding(self) -> Vector:
        """The raw embedding again, float32 (d,)."""
        return (self.vector * np.float32(self.norm)).astype(np.float32)

    def __repr__(self) -> str:
        return f"Template({self.vector.size} numbers of {self.model})"


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face; a template only where one was asked for."""

    box: BoundingBox
    landmarks: Landmarks
    #: The detector's confidence, 0 to 1.
    detection_score: float
    pose: Pose
    #: Sharpness, 0 (blurred beyond use) to 1 (sharp).
    sharpness: float
    template: Template | None = None


@dataclass(frozen=True, slots=True)
class PictureAnalysis:
    """What a picture holds: its faces, largest first. No face is an ordinary answer."""

    image_size: ImageSize
    faces: tuple[Face, ...]

    @property
    def largest(self) -> Face | None:
        """The face that a comparison takes, or None."""
        return self.faces[0] if self.faces else None
