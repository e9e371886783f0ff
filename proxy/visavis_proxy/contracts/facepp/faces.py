"""From what a caller gave to the faces it holds: fetch, check, analyse, hand out tokens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from visavis_client.errors import EngineFault, RegionInvalid
from visavis_client.faces import BoundingBox, Face, PictureAnalysis, Template
from visavis_proxy import images
from visavis_proxy.contracts.facepp import errors
from visavis_proxy.contracts.facepp.checks import check_picture
from visavis_proxy.contracts.facepp.errors import Refusal, refusal_of
from visavis_proxy.contracts.facepp.request import GivenPicture, GivenToken, Origin
from visavis_proxy.credentials import Key
from visavis_proxy.fetch import Hold
from visavis_proxy.services import Services

#: What the engine is given at least, though nothing be left: its own refusal is the answer then.
_LEAST_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class LoadedPicture:
    """The encoded picture behind a parameter, checked but not analysed; the form that it came in is not kept."""

    origin: Origin
    image: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """``face_rectangle``: whole pixels inside the upright picture."""

    top: int
    left: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face of a picture; its template is what its token will stand for."""

    rectangle: Rectangle
    template: Template


@dataclass(frozen=True, slots=True)
class SeenPicture:
    """What is told about a picture: its id and its faces, the compared one first."""

    image_id: str
    faces: tuple[SeenFace, ...]


class Faces:
    """Finds the faces of one side of a call."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.facepp

    async def load(self, key: Key, given: GivenToken | GivenPicture, hold: Hold) -> Template | LoadedPicture:
        """The template behind a token, or the picture behind one of the other parameters.

        Raises:
            Refusal: it cannot be had, the document does not allow it, or there is no room for it.
        """
        if isinstance(given, GivenPicture):
            return await self.load_picture(given, hold)
        template = await self._services.face_tokens.find(key.id, given.token)
        if template is None:
            raise Refusal(errors.INVALID_FACE_TOKEN, given.token)
        return template

    async def load_picture(self, given: GivenPicture, hold: Hold) -> LoadedPicture:
        """See load."""
        with _in_our_words(given.origin):
            image = await self._image(given, hold)
            check_picture(image, given.origin.parameter, self._settings)
        return LoadedPicture(given.origin, image)

    async def _image(self, given: GivenPicture, hold: Hold) -> bytes:
        if given.content is not None:
            return given.content
        if given.base64 is not None:
            return images.decode_base64(given.base64)
        most = self._settings.max_picture_bytes
        return await self._services.fetcher.fetch(given.url or "", max_bytes=most, hold=hold)

    async def see(self, loaded: Template | LoadedPicture, deadline: float) -> Template | SeenPicture:
        """Analyse a picture; ``deadline`` is a time of the running loop. A template passes through.

        Raises:
            Refusal: the engine refused the picture, or is at fault itself.
        """
        return loaded if isinstance(loaded, Template) else await self.see_picture(loaded, deadline)

    async def see_picture(self, loaded: LoadedPicture, deadline: float) -> SeenPicture:
        """See see."""
        rectangle = loaded.origin.rectangle
        left_s = max(_LEAST_S, deadline - asyncio.get_running_loop().time())
        with _in_our_words(loaded.origin):
            analysis = await self._services.engine.analyse(
                loaded.image,
                max_faces=self._settings.max_faces,
                region=surroundings(rectangle, self._settings.rectangle_margin) if rectangle else None,
                timeout_s=min(left_s, self._services.settings.engine_timeout_s),
            )
            found = faces_in(analysis, rectangle) if rectangle else self._large_faces(analysis)
        return SeenPicture(_image_id(loaded.image), found)

    def _large_faces(self, analysis: PictureAnalysis) -> tuple[SeenFace, ...]:
        """Those of the whole picture that are returned."""
        smallest = self._settings.min_face_px
        found = [face for face in analysis.faces if min(face.box.width, face.box.height) >= smallest]
        return tuple(SeenFace(_inside(analysis, face), _template(face)) for face in found[: self._settings.max_faces])

    async def tokens(self, key: Key, pictures: Sequence[SeenPicture]) -> list[list[str]]:
        """New tokens for every face of every picture."""
        templates = [face.template for picture in pictures for face in picture.faces]
        tokens = iter(await self._services.face_tokens.issue(key.id, templates) if templates else ())
        return [[next(tokens) for _ in picture.faces] for picture in pictures]


@contextmanager
def _in_our_words(origin: Origin) -> Iterator[None]:
    """Raise the document's refusal for a neighbour's error; any other error passes."""
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error, picture=origin.parameter, rectangle=origin.rectangle_parameter)
        if refusal is None:
            raise
        try:
            raise refusal from error
        finally:
            # Its traceback leads here, and to the picture: in a circle they would wait for the next collection.
            del refusal


def surroundings(rectangle: BoundingBox, margin: float) -> BoundingBox:
    """Where a face in a rectangle is searched: a margin of ``margin`` times its sides around it, in whole pixels.

    A detector that sees nothing but a face's own rectangle does not know it for a face.
    """
    left, top = (
        max(0, round(at - margin * side))
        for at, side in ((rectangle.left, rectangle.width), (rectangle.top, rectangle.height))
    )
    right, bottom = rectangle.left + rectangle.width * (1 + margin), rectangle.top + rectangle.height * (1 + margin)
    return BoundingBox(left, top, round(right) - left, round(bottom) - top)


def faces_in(analysis: PictureAnalysis, rectangle: BoundingBox) -> tuple[SeenFace, ...]:
    """The largest face of which at least half lies in the rectangle, told at the rectangle's own place; or none.

    Raises:
        RegionInvalid: the rectangle lies outside the picture.
    """
    picture = BoundingBox(0, 0, analysis.image_size.width, analysis.image_size.height)
    if not _shared_area(picture, rectangle):
        raise RegionInvalid("a rectangle outside the picture")
    place = Rectangle(int(rectangle.top), int(rectangle.left), int(rectangle.width), int(rectangle.height))
    within = (face for face in analysis.faces if 2 * _shared_area(face.box, rectangle) >= face.box.area)
    return tuple(SeenFace(place, _template(face)) for face in itertools.islice(within, 1))


def _shared_area(one: BoundingBox, other: BoundingBox) -> float:
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(0.0, across) * max(0.0, down)


def _template(face: Face) -> Template:
    if face.template is None:
        raise EngineFault("a face without the template that was asked for")
    return face.template


def _inside(analysis: PictureAnalysis, face: Face) -> Rectangle:
    """The detector's box in whole pixels, clipped to the picture, so that it can be passed on as a parameter."""
    size, box = analysis.image_size, face.box
    left, top = (min(max(0, round(at)), most - 1) for at, most in ((box.left, size.width), (box.top, size.height)))
    right, bottom = min(round(box.left + box.width), size.width), min(round(box.top + box.height), size.height)
    return Rectangle(top, left, max(1, right - left), max(1, bottom - top))


def _image_id(image: bytes) -> str:
    """16 bytes in base64; the same picture always gets the same."""
    return base64.b64encode(hashlib.sha256(image).digest()[:16]).decode()
