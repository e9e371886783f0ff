"""The room alone on a workbench: its router in an app of its own, neighbours made by hand, pictures drawn here."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from fakes import TEST_KEY, make_services
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from PIL import Image

from visavis_client.errors import VisavisError
from visavis_client.faces import PictureAnalysis
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.contracts.aws.route import router
from visavis_proxy.contracts.aws.settings import AwsSettings
from visavis_proxy.credentials import Key
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings

HOST = "127.0.0.1:41627"
URL = f"http://{HOST}/prod/face_comparison"
PICTURE_URL = "https://pictures.example/face.jpg"


def draw(width: int = 64, height: int = 48, kind: str = "JPEG") -> bytes:
    """An encoded picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (120, 90, 60)).save(file, kind)
    return file.getvalue()


FACE = draw()
TWO_FACES = draw(80, 60)
NO_FACE = draw(50, 50)
ANALYSES: Mapping[bytes, PictureAnalysis | VisavisError] = {
    FACE: fake_analysis(fake_face(3.0, 4.0)),
    TWO_FACES: fake_analysis(fake_face(1.0, 2.0), fake_face(0.5, -2.0, left=300, width=60, height=80)),
    NO_FACE: fake_analysis(),
}


def settings(**aws: Any) -> Settings:
    """Settings whose AWS group differs from the default."""
    return Settings(aws=AwsSettings(**aws))


def services(answers: Mapping[bytes, PictureAnalysis | VisavisError] = ANALYSES, **given: Any) -> Services:
    """What the room is given; pictures of ANALYSES behind PICTURE_URL."""
    given.setdefault("pictures", {PICTURE_URL: FACE})
    return make_services(FakeEngine(answers), **given)


@dataclass(frozen=True)
class Client:
    """Sends requests straight into an app, with the Host of the golden vectors."""

    app: FastAPI

    def request(self, method: str, path: str, **given: Any) -> Response:
        return asyncio.run(self._send(method, path, given))

    def post(self, path: str, **given: Any) -> Response:
        return self.request("POST", path, **given)

    async def _send(self, method: str, path: str, given: dict[str, Any]) -> Response:
        async with AsyncClient(transport=ASGITransport(self.app), base_url=f"http://{HOST}") as http:
            return await http.request(method, path, **given)


def client(given: Services | None = None) -> Client:
    """A client of an app that holds this room alone."""
    app = FastAPI(redirect_slashes=False)
    app.include_router(router(given or services()))
    return Client(app)


def img(picture: bytes) -> dict[str, str]:
    """The request of the document's second example."""
    return {"img": base64.b64encode(picture).decode()}


def signed(body: bytes, key: Key = TEST_KEY, *, url: str = URL, service: str = "execute-api") -> dict[str, str]:
    """Headers as botocore signs them, now."""
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
    secret = key.secret.get_secret_value()
    SigV4Auth(BotoCredentials(key.id, secret), service, "cn-northwest-1").add_auth(request)
    return dict(request.headers.items())


def as_json(question: object) -> bytes:
    """A body as the document's Python writes it."""
    return json.dumps(question).encode()


PATH = "/prod/face_comparison"
GOOD = as_json(img(FACE))


def post(body: bytes = GOOD, path: str = PATH, *, headers: dict[str, str] | None = None, **given: Any) -> Response:
    """POST to a room with those neighbours; everything has a good default."""
    return client(services(**given)).post(path, content=body, headers=headers)
