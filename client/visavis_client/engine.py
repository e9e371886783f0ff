"""What a caller may ask of the models, whoever runs them."""

from __future__ import annotations

from typing import Protocol

from visavis_client.faces import BoundingBox, ModelIdentity, PictureAnalysis

#: The detector's graph hands on at most so many faces of a picture, and the embedder takes so many at once.
MAX_FACES = 32


def check_max_faces(max_faces: int) -> None:
    """Raises ValueError for a number of faces that can never be embedded."""
    if not 0 <= max_faces <= MAX_FACES:
        raise ValueError(f"between 0 and {MAX_FACES} faces can be embedded, not {max_faces}")


class Engine(Protocol):
    """Analyses pictures: decode, detect, align, embed."""

    @property
    def model(self) -> ModelIdentity:
        """The embedder whose templates come out."""
        ...

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,
    ) -> PictureAnalysis:
        """Find every face of an encoded picture, and make templates of the ``max_faces`` largest (0 to 32).

        ``region`` limits the search to that rectangle of the upright picture; positions in the answer remain
        those of the whole picture. ``timeout_s`` is the caller's own deadline; None means the engine's default.

        Raises:
            PictureError: the picture is at fault.
            EngineError: the engine is at fault.
        """
        ...

    async def ready(self) -> bool:
        """Whether every model is loaded and warm; never raises."""
        ...

    async def close(self) -> None:
        """Let go of connections; further calls fail."""
        ...
