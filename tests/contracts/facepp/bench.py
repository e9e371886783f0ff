"""The room alone on a workbench: the real app around it, neighbours made by hand, pictures drawn here."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fakes import FakeFaceTokens, make_services
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from PIL import Image

from visavis_client.errors import VisavisError
from visavis_client.faces import PictureAnalysis
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.app import create_app
from visavis_proxy.contracts.facepp.route import router
from visavis_proxy.contracts.facepp.settings import FacePpSettings
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings

COMPARE, DETECT = "/facepp/v3/compare", "/facepp/v3/detect"
PICTURE_URL = "https://pictures.example/face.jpg"

FORMAL = Key(id="formalKey", secret="formalSecret", qps=100_000)
TRIAL = Key(id="trialKey", secret="trialSecret", qps=100_000, tier="trial")
KEY = {"api_key": "formalKey", "api_secret": "formalSecret"}
TRIAL_KEY = {"api_key": "trialKey", "api_secret": "trialSecret"}


def draw(width: int = 64, height: int = 64, kind: str = "JPEG", color: int = 120) -> bytes:
    """An encoded picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (color, 90, 60)).save(file, kind)
    return file.getvalue()


#: One person twice, another one, two faces, none.
ANNA, ANNA_AGAIN, BERTA, GROUP, NOBODY = (draw(60 + n, 60) for n in range(5))
ANALYSES: Mapping[bytes, PictureAnalysis | VisavisError] = {
    ANNA: fake_analysis(fake_face(1.0, 0.0)),
    ANNA_AGAIN: fake_analysis(fake_face(1.0, 0.5, left=12.4, top=30.6)),
    BERTA: fake_analysis(fake_face(0.0, 1.0)),
    GROUP: fake_analysis(fake_face(1.0, 0.1), fake_face(0.1, 1.0, left=300, width=60, height=80)),
    NOBODY: fake_analysis(),
}


def settings(**facepp: Any) -> Settings:
    """Settings whose Face++ group differs from the default."""
    return Settings(facepp=FacePpSettings(**facepp))


def services(answers: Mapping[bytes, PictureAnalysis | VisavisError] = ANALYSES, **given: Any) -> Services:
    """What the room is given; ANNA behind PICTURE_URL."""
    given.setdefault("pictures", {PICTURE_URL: ANNA})
    given.setdefault("keys", (FORMAL, TRIAL))
    return make_services(FakeEngine(answers), **given)


@dataclass(frozen=True)
class Client:
    """Sends requests straight into the app."""

    app: FastAPI
    services: Services

    def request(self, method: str, path: str, **given: Any) -> Response:
        return asyncio.run(self._send(method, path, given))

    def compare(self, data: Mapping[str, str] = KEY, **given: Any) -> Response:
        return self.request("POST", COMPARE, data=data, **given)

    def detect(self, data: Mapping[str, str] = KEY, **given: Any) -> Response:
        return self.request("POST", DETECT, data=data, **given)

    async def _send(self, method: str, path: str, given: dict[str, Any]) -> Response:
        async with AsyncClient(transport=ASGITransport(self.app), base_url="http://127.0.0.1:8080") as http:
            return await http.request(method, path, **given)

    @property
    def asked(self) -> list[tuple[bytes, int, Any]]:
        """What the engine was asked: picture, max_faces, region."""
        engine = self.services.engine
        assert isinstance(engine, FakeEngine)
        return engine.asked

    def token(self, picture: bytes = ANNA, owner: str = FORMAL.id) -> str:
        """A token for the largest face of a picture."""
        analysis = ANALYSES[picture]
        assert isinstance(analysis, PictureAnalysis)
        assert isinstance(self.services.face_tokens, FakeFaceTokens)
        return asyncio.run(self.services.face_tokens.issue(owner, [analysis.faces[0].template]))[0]


def client(given: Services | None = None) -> Client:
    """A client of an app that holds this room alone."""
    given = given or services()
    return Client(create_app(given, ((Contract.FACEPP, router),)), given)


def files(first: bytes | None = None, second: bytes | None = None) -> dict[str, Any]:
    """File parts for both sides."""
    parts = {"image_file1": first, "image_file2": second}
    return {name: (f"{name}.jpg", content, "image/jpeg") for name, content in parts.items() if content is not None}


def text(picture: bytes) -> str:
    """A picture as base64."""
    return base64.b64encode(picture).decode()
