"""How the tests of this room call it: pictures, signatures written down a second time, and a room with fakes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from fakes import TEST_KEY, make_services
from fastapi import FastAPI
from PIL import Image
from starlette.requests import ClientDisconnect

from visavis_client.errors import VisavisError
from visavis_client.faces import PictureAnalysis
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.contracts.jdcloud.route import PATH, router
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings
from visavis_proxy.credentials import Key
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings

#: 2026-11-21 03:30:00 UTC, in China half past eleven in the morning.
NOW = datetime(2026, 11, 21, 3, 30, tzinfo=UTC).timestamp()
HOST = "testserver"


def picture(shade: int, width: int = 100, height: int = 120, encoding: str = "JPEG") -> bytes:
    """An encoded picture of one colour; equal arguments give equal bytes."""
    sink = io.BytesIO()
    Image.new("RGB", (width, height), (shade, shade, shade)).save(sink, encoding)
    return sink.getvalue()


PROBE, REFERENCE = picture(10), picture(200)


def text(image: bytes) -> str:
    """Base64 as clients send it."""
    return base64.b64encode(image).decode()


def body_of(probe: bytes = PROBE, reference: bytes = REFERENCE) -> bytes:
    """The documented body."""
    return json.dumps({"imgBase64A": text(probe), "imgBase64B": text(reference)}).encode()


@dataclass(frozen=True)
class Signer:
    """Signs as the vendor's pages say; every field may be bent by a test."""

    version: str = "2"
    key_id: str = TEST_KEY.id
    secret: str = TEST_KEY.secret.get_secret_value()
    now: float = NOW
    nonce: str | None = None
    signed: tuple[str, ...] = ("content-type", "host", "x-jdcloud-date", "x-jdcloud-nonce")
    extra: tuple[tuple[str, str], ...] = ()
    query: str = ""
    canonical_query: str = ""
    host: str = HOST

    def headers(self, body: bytes, path: str = PATH) -> dict[str, str]:
        date = datetime.fromtimestamp(self.now, UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "host": self.host,
            "content-type": "application/json",
            "x-jdcloud-date": date,
            "x-jdcloud-nonce": self.nonce or str(uuid.uuid4()),
            **dict(self.extra),
        }
        lines = [f"{name}:{headers[name].strip()}" for name in self.signed]
        names = ";".join(self.signed)
        hashed = hashlib.sha256(body).hexdigest()
        request = "\n".join(["POST", path, self.canonical_query, *lines, "", names, hashed])
        scope = f"{date[:8]}/jdcloud-api/jdai/jdcloud{self.version}_request"
        algorithm = f"JDCLOUD{self.version}-HMAC-SHA256"
        to_sign = "\n".join([algorithm, date, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"JDCLOUD{self.version}{self.secret}".encode()
        for part in [*scope.split("/"), to_sign]:
            key = hmac.digest(key, part.encode(), "sha256")
        credential = f"Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        return {**headers, "authorization": f"{algorithm} {credential}"}


class Room:
    """This room alone in an app, with fake neighbours and a clock that stands still until it is set."""

    def __init__(
        self,
        answers: Mapping[bytes, PictureAnalysis | VisavisError] | None = None,
        *,
        keys: Iterable[Key] = (TEST_KEY,),
        settings: JdCloudSettings | None = None,
        change: Callable[[Services], Services] = lambda services: services,
    ) -> None:
        self.now = NOW
        self.engine = FakeEngine(answers if answers is not None else two_of_one_person())
        services = make_services(
            self.engine,
            keys=keys,
            settings=Settings(jdcloud=settings or JdCloudSettings()),
            clock=lambda: self.now,
        )
        self.services = change(services)
        app = FastAPI()
        app.include_router(router(self.services))
        self._app = app

    def post(self, body: bytes | None = None, signer: Signer | None = None) -> httpx.Response:
        """Sign and send a body; without one, the two pictures that the fake engine knows."""
        content = body_of() if body is None else body
        signer = signer or Signer(now=self.now)
        url = PATH + ("?" + signer.query if signer.query else "")
        return self.send("POST", url, content, signer.headers(content))

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str | bytes] | None = None
    ) -> httpx.Response:
        """Send anything."""
        return asyncio.run(self._send(method, path, body, headers or {}))

    def abandon(self) -> httpx.Response:
        """Begin a body and leave."""

        async def unfinished() -> AsyncIterator[bytes]:
            yield b"{"
            raise ClientDisconnect

        async def begin() -> httpx.Response:
            async with self._client() as client:
                return await client.post(PATH, content=unfinished(), headers=Signer().headers(b"{"))

        return asyncio.run(begin())

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url=f"http://{HOST}")

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str | bytes]) -> httpx.Response:
        raw = {name: value.encode("latin-1") if isinstance(value, str) else value for name, value in headers.items()}
        async with self._client() as client:
            return await client.request(method, path, content=body, headers=raw)

    def ask(self, body: bytes | None = None, signer: Signer | None = None) -> dict[str, Any]:
        """The envelope."""
        response = self.post(body, signer)
        assert response.status_code == 200, response.text
        envelope: dict[str, Any] = response.json()
        return envelope


def two_of_one_person() -> dict[bytes, PictureAnalysis | VisavisError]:
    """Two pictures, one face each, with the same embedding."""
    return {PROBE: fake_analysis(fake_face(1, 0)), REFERENCE: fake_analysis(fake_face(1, 0, left=30))}
