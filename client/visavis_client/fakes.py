"""A hand-written engine for the unit tests of neighbours; production code never sees it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from visavis_client.errors import PictureUnreadable, VisavisError
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

FAKE_MODEL = ModelIdentity("fake-0000")


def fake_face(*embedding: float, left: float = 10, top: float = 20, width: float = 100, height: float = 120) -> Face:
    """A frontal, sharp face at the given place whose template points along ``embedding``."""
    box = BoundingBox(left, top, width, height)
    places = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = [(left + x * width, top + y * height) for x, y in places]
    template = Template.from_embedding(np.asarray(embedding or (1.0, 0.0), np.float32), FAKE_MODEL)
    return Face(box, Landmarks(*points), 0.95, Pose(0.0, 0.0, 0.0), 0.9, template)


def fake_analysis(*faces: Face, width: int = 640, height: int = 480) -> PictureAnalysis:
    """A picture of that size with those faces."""
    return PictureAnalysis(ImageSize(width, height), faces)


class FakeEngine:
    """Answers by the exact bytes of the picture, with what its maker told it."""

    def __init__(self, answers: Mapping[bytes, PictureAnalysis | VisavisError], *, is_ready: bool = True) -> None:
        self._answers = dict(answers)
        self._is_ready = is_ready
        self.asked: list[tuple[bytes, int, BoundingBox | None]] = []

    @property
    def model(self) -> ModelIdentity:
        """A fixed identity."""
        return FAKE_MODEL

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,  # noqa: ARG002
    ) -> PictureAnalysis:
        """The prepared answer; an unknown picture is unreadable."""
        self.asked.append((image, max_faces, region))
        answer = self._answers.get(image)
        if answer is None:
            raise PictureUnreadable("the fake engine knows no such picture")
        if isinstance(answer, VisavisError):
            raise answer
        return answer

    async def ready(self) -> bool:
        """As it was made."""
        return self._is_ready

    async def close(self) -> None:
        """Nothing to let go of."""
