"""Two pictures in, the vendor's similarity out: fetch, look at the header, analyse, compare."""

from __future__ import annotations

import asyncio
from typing import Final

from visavis_client.comparison import compare
from visavis_client.engine import Engine
from visavis_client.errors import EngineFault, EngineTimeout
from visavis_client.faces import Template
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import ALIYUN
from visavis_proxy import images
from visavis_proxy.both import both
from visavis_proxy.contracts.aliyun import errors
from visavis_proxy.contracts.aliyun.checks import InlinePicture, Picture
from visavis_proxy.contracts.aliyun.errors import Refusal
from visavis_proxy.gate import Place
from visavis_proxy.services import Services

_LEAST_S: Final = 0.05


class Comparison:
    """Compares the largest faces of two pictures."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings.aliyun
        self._engine_timeout_s = services.settings.engine_timeout_s
        self._engine: Engine = services.engine
        self._fetcher = services.fetcher
        self._scale = ScoreScale(services.operating_points, ALIYUN)

    async def load(self, source: Picture, target: Picture, place: Place) -> tuple[bytes, bytes]:
        """Both encoded pictures, probe and reference.

        Both sides go at the same time; where both are at fault, the source's fault is named.

        Raises:
            Refusal, PictureError, FetchError, EngineBusy: see errors.RAISED.
        """
        with place.aside(when=source.is_remote or target.is_remote):
            return await both(self._load(source, place), self._load(target, place))

    async def similarity(self, probe_image: bytes, reference_image: bytes, deadline: float) -> float:
        """0 to 100; ``deadline`` is a time of the running loop's clock; both sides as in load.

        Raises:
            Refusal, PictureError, EngineError: see errors.RAISED.
        """
        probe, reference = await both(self._template(probe_image, deadline), self._template(reference_image, deadline))
        return self._scale(compare(probe, reference))

    async def _load(self, picture: Picture, place: Place) -> bytes:
        """The encoded picture, its header read but nothing decoded."""
        if isinstance(picture, InlinePicture):
            image = images.decode_base64(picture.text)
        else:
            most = self._settings.max_picture_bytes
            image = await self._fetcher.fetch(picture.url, max_bytes=most, hold=place.hold)
        header = images.inspect(image)
        if header.width * header.height > self._settings.max_picture_pixels:
            raise Refusal(errors.IMAGE_VALUE_PATTERN)
        return image

    async def _template(self, image: bytes, deadline: float) -> Template:
        left_s = deadline - asyncio.get_running_loop().time()
        if left_s < _LEAST_S:
            raise EngineTimeout("nothing is left of the time to answer in")
        analysis = await self._engine.analyse(image, max_faces=1, timeout_s=min(left_s, self._engine_timeout_s))
        if analysis.largest is None:
            raise Refusal(errors.NO_FACE_DETECTED)
        if analysis.largest.template is None:
            raise EngineFault("a face without the template that was asked for")
        return analysis.largest.template
