"""A room on fakes, and a caller that signs as the vendor describes it, written without the room's own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from fakes import TEST_KEY, make_services
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from visavis_client.errors import VisavisError
from visavis_client.faces import PictureAnalysis
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.contracts.aliyun.route import router
from visavis_proxy.contracts.aliyun.settings import AliyunSettings
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings

NOW = datetime(2026, 11, 21, 3, 29, 12, tzinfo=UTC).timestamp()
HOST = "testserver"


def picture(width: int, height: int = 90, kind: str = "JPEG") -> bytes:
    """A grey picture: the fake engine knows it by its bytes."""
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), (127, 127, 127)).save(encoded, kind)
    return encoded.getvalue()


FACE, SAME_FACE, OTHER_FACE, NO_FACE, TWO_FACES = (picture(width) for width in (101, 102, 103, 104, 105))
UNKNOWN = picture(106)
ANSWERS: dict[bytes, PictureAnalysis | VisavisError] = {
    FACE: fake_analysis(fake_face(1, 0)),
    SAME_FACE: fake_analysis(fake_face(1, 0.1)),
    OTHER_FACE: fake_analysis(fake_face(0, 1)),
    NO_FACE: fake_analysis(),
    TWO_FACES: fake_analysis(fake_face(1, 0, width=200), fake_face(0, 1)),
}
FORBIDDEN_KEY = Key(id="jdKeyId", secret="jdSecret", contracts=(Contract.JDCLOUD,))
DISABLED_KEY = Key(id="disabledKeyId", secret="disabledSecret", disabled="Denied by Admin")
SLOW_KEY = Key(id="slowKeyId", secret="slowSecret", qps=1)
GOOD_KEY = TEST_KEY
KEYS = (GOOD_KEY, FORBIDDEN_KEY, DISABLED_KEY, SLOW_KEY)


def inline(data: bytes) -> str:
    """A picture as a value."""
    return "base64://" + base64.b64encode(data).decode()


def form(source: str = inline(FACE), target: str = inline(SAME_FACE), **changed: str | None) -> dict[str, str]:
    """The four parameters; a None among the changes takes one away."""
    given: dict[str, str | None] = {
        "SourceImageType": "FacePic",
        "SourceImageValue": source,
        "TargetImageType": "FacePic",
        "TargetImageValue": target,
        **changed,
    }
    return {name: value for name, value in given.items() if value is not None}


def services(
    answers: Mapping[bytes, PictureAnalysis | VisavisError] | None = None,
    *,
    clock: Callable[[], float] = lambda: NOW,
    pictures: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Services:
    """Fakes that stand at NOW and know ANSWERS and KEYS."""
    return make_services(
        FakeEngine({**ANSWERS, **(answers or {})}),
        keys=KEYS,
        clock=clock,
        pictures=pictures,
        settings=Settings(aliyun=AliyunSettings(**settings)),
    )


def client(given: Services | None = None) -> TestClient:
    """The room alone behind a client."""
    app = FastAPI()
    app.include_router(router(given or services()))
    return TestClient(app, base_url=f"http://{HOST}")


@dataclass(frozen=True)
class Call:
    """A request before it is sent; tests alter one after it was signed."""

    method: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, to: TestClient) -> httpx.Response:
        target = f"/?{urlencode(self.query, quote_via=quote, safe='~')}" if self.query else "/"
        return to.request(self.method, target, content=self.body, headers=self.headers)

    def without_header(self, name: str) -> Call:
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})


_nonces = map("nonce-{}".format, itertools.count())
_FORM_HEADERS = {"content-type": "application/x-www-form-urlencoded"}


def stamp(seconds: float) -> str:
    """The gateway's form of time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rpc(
    parameters: Mapping[str, str] | None = None, *, method: str = "POST", key: Key = TEST_KEY, **public: Any
) -> Call:
    """An RPC call as acs sends it, signed last; a None among the public parameters takes one away."""
    parameters = form() if parameters is None else dict(parameters)
    given = {
        "Version": "2019-03-07",
        "Action": "CompareFaces",
        "Format": "JSON",
        "RegionId": "cn-hangzhou",
        "Timestamp": stamp(NOW),
        "SignatureMethod": "HMAC-SHA1",
        "SignatureType": "",
        "SignatureVersion": "1.0",
        "SignatureNonce": next(_nonces),
        "AccessKeyId": key.id,
        **public,
    }
    query = {name: value for name, value in given.items() if value is not None}
    everything = sorted({**query, **parameters}.items())
    canonical = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in everything)
    signed = f"{method}&%2F&{quote(canonical, safe='~')}"
    digest = hmac.digest(f"{key.secret.get_secret_value()}&".encode(), signed.encode(), "sha1")
    query["Signature"] = base64.b64encode(digest).decode()
    if method == "GET":
        return Call(method, {**parameters, **query}, b"")
    return Call(method, query, urlencode(parameters).encode(), _FORM_HEADERS)


def acs3(
    parameters: Mapping[str, str] | None = None,
    *,
    key: Key = TEST_KEY,
    query: Mapping[str, str] | None = None,
    unsigned: tuple[str, ...] = (),
    **headers: str | None,
) -> Call:
    """A V3 call as Tea sends it; headers named with underscores, a None takes one away, ``unsigned`` are not signed."""
    body = urlencode(form() if parameters is None else parameters).encode()
    given: dict[str, str | None] = {
        "host": HOST,
        "x-acs-version": "2019-03-07",
        "x-acs-action": "CompareFaces",
        "x-acs-date": stamp(NOW),
        "x-acs-signature-nonce": next(_nonces),
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        **_FORM_HEADERS,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    sent = {name: value for name, value in given.items() if value is not None}
    names = sorted(set(sent) - set(unsigned))
    pairs = sorted((query or {}).items())
    canonical = "\n".join(
        (
            "POST",
            "/",
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs),
            "".join(f"{name}:{sent[name].strip()}\n" for name in names),
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )
    signed = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key.secret.get_secret_value().encode(), signed.encode(), "sha256").hex()
    sent["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key.id},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    return Call("POST", dict(query or {}), body, sent)
