"""Correct requests of each contract with distinct pictures, and what an answer means."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from visavis_perf.signing import (
    AwsSigner,
    Caller,
    aliyun_date,
    aliyun_v3_authorization,
    jdcloud_authorization,
    jdcloud_date,
    sha256_hex,
)

#: Kinds of answer; every other kind is an error and says which.
OK, BUSY, NO_FACE = "ok", "busy", "no face"


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body and its digest: sent many times, hashed once."""

    data: bytes
    content_type: str
    sha256: str

    @classmethod
    def of(cls, data: bytes, content_type: str) -> Body:
        """Hash it."""
        return cls(data, content_type, sha256_hex(data))


class Contract(Protocol):
    """One vendor's call, from the client's side."""

    name: str
    path: str
    #: 2 for a comparison, 1 where the client compares by itself.
    pictures_per_request: int

    def body(self, jpegs: Sequence[bytes]) -> Body:
        """A body with so many pictures as a request has."""
        ...

    def headers(self, host: str, body: Body) -> Mapping[str, str]:
        """Headers beside Host and Content-Length, signed now: a nonce is good once."""
        ...

    def judge(self, status: int, answer: bytes) -> str:
        """The kind of an answer: OK, BUSY, NO_FACE, or an error's own name."""
        ...


def bodies(contract: Contract, jpegs: Sequence[bytes]) -> list[Body]:
    """One body for each picture, beside another one that is its neighbour in no other body."""
    if contract.pictures_per_request == 1:
        return [contract.body([jpeg]) for jpeg in jpegs]
    half = max(1, len(jpegs) // 2)
    return [contract.body([jpeg, jpegs[(index + half) % len(jpegs)]]) for index, jpeg in enumerate(jpegs)]


def multipart(fields: Mapping[str, str], files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """multipart/form-data as clients send it, and its content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, data in files.items():
        disposition = f'form-data; name="{name}"; filename="{name}.jpg"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
        parts += [head.encode(), data, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _read(answer: bytes) -> dict[str, Any]:
    try:
        table = json.loads(answer)
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


class FacePp:
    """Two files and the key in one multipart form; Face++ signs nothing."""

    name, path, pictures_per_request = "facepp", "/facepp/v3/compare", 2

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def body(self, jpegs: Sequence[bytes]) -> Body:  # noqa: D102 (as the protocol says)
        fields = {"api_key": self._caller.key, "api_secret": self._caller.secret}
        return Body.of(*multipart(fields, {f"image_file{side}": jpeg for side, jpeg in enumerate(jpegs, 1)}))

    def headers(self, host: str, body: Body) -> Mapping[str, str]:  # noqa: ARG002, D102
        return {"Content-Type": body.content_type}

    def judge(self, status: int, answer: bytes) -> str:  # noqa: D102
        table = _read(answer)
        if status == 200:
            return OK if "confidence" in table else NO_FACE
        message = str(table.get("error_message", ""))
        return (
            BUSY if message == "CONCURRENCY_LIMIT_EXCEEDED" else f"{status} {message.split(':', maxsplit=1)[0]}".strip()
        )


class JdCloud:
    """Two base64 texts in JSON, JDCLOUD2-HMAC-SHA256."""

    name, path, pictures_per_request = "jdcloud", "/jdai/faceCompareV1", 2

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def body(self, jpegs: Sequence[bytes]) -> Body:  # noqa: D102
        texts = {f"imgBase64{side}": base64.b64encode(jpeg).decode() for side, jpeg in zip("AB", jpegs, strict=True)}
        return Body.of(json.dumps(texts).encode(), "application/json")

    def headers(self, host: str, body: Body) -> Mapping[str, str]:  # noqa: D102
        signed = {
            "content-type": body.content_type,
            "host": host,
            "x-jdcloud-date": jdcloud_date(datetime.now(UTC)),
            "x-jdcloud-nonce": secrets.token_hex(16),
        }
        authorization = jdcloud_authorization(self._caller, path=self.path, headers=signed, body_sha256=body.sha256)
        return {**_without_host(signed), "authorization": authorization}

    def judge(self, status: int, answer: bytes) -> str:  # noqa: D102
        table = _read(answer)
        code = str(table.get("code"))
        if status == 429 or code in {"10020", "10043", "10044"}:
            return BUSY
        if status != 200 or code != "10000":
            return f"{status} {code}"
        outcome = (table.get("result") or {}).get("code")
        if outcome == 0:
            return OK
        return NO_FACE if outcome == 10 else f"result {outcome}"


class Aliyun:
    """Two base64 texts in a form, ACS3-HMAC-SHA256, which current SDKs send by default."""

    name, path, pictures_per_request = "aliyun", "/", 2

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def body(self, jpegs: Sequence[bytes]) -> Body:  # noqa: D102
        fields = {}
        for side, jpeg in zip(("Source", "Target"), jpegs, strict=True):
            fields[f"{side}ImageType"] = "FacePic"
            fields[f"{side}ImageValue"] = f"base64://{base64.b64encode(jpeg).decode()}"
        return Body.of(urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def headers(self, host: str, body: Body) -> Mapping[str, str]:  # noqa: D102
        signed = {
            "accept": "application/json",
            "content-type": body.content_type,
            "host": host,
            "x-acs-action": "CompareFaces",
            "x-acs-content-sha256": body.sha256,
            "x-acs-date": aliyun_date(datetime.now(UTC)),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": "2019-03-07",
        }
        return {**_without_host(signed), "authorization": aliyun_v3_authorization(self._caller, headers=signed)}

    def judge(self, status: int, answer: bytes) -> str:  # noqa: D102
        table = _read(answer)
        code = str(table.get("Code"))
        if status == 200 and code == "1":
            return OK
        if code.startswith("Throttling"):
            return BUSY
        return NO_FACE if code == "Error.NoFaceDetected" else f"{status} {code}"


class Aws:
    """One base64 text in JSON, SigV4; the client compares by itself."""

    name, path, pictures_per_request = "aws", "/prod/face_comparison", 1

    def __init__(self, caller: Caller) -> None:
        self._signer = AwsSigner(caller)

    def body(self, jpegs: Sequence[bytes]) -> Body:  # noqa: D102
        return Body.of(json.dumps({"img": base64.b64encode(jpegs[0]).decode()}).encode(), "application/json")

    def headers(self, host: str, body: Body) -> Mapping[str, str]:  # noqa: D102
        return self._signer.headers(f"http://{host}{self.path}", body.sha256, body.content_type)

    def judge(self, status: int, answer: bytes) -> str:  # noqa: D102
        if status == 429:
            return BUSY
        if status != 200:
            return f"{status} {answer[:40].decode('utf-8', 'replace')}"
        return OK if _read(answer).get("Faces") else NO_FACE


class Afternoon:
    """The peer's own call, in ``perf/baselines/afternoon.py``."""

    name, path, pictures_per_request = "afternoon", "/compare", 2

    def body(self, jpegs: Sequence[bytes]) -> Body:  # noqa: D102
        return Body.of(*multipart({}, {f"image{side}": jpeg for side, jpeg in enumerate(jpegs, 1)}))

    def headers(self, host: str, body: Body) -> Mapping[str, str]:  # noqa: ARG002, D102
        return {"Content-Type": body.content_type}

    def judge(self, status: int, answer: bytes) -> str:  # noqa: D102
        if status != 200:
            return str(status)
        return OK if _read(answer).get("score") is not None else NO_FACE


def _without_host(headers: Mapping[str, str]) -> dict[str, str]:
    """Signed, but written by the HTTP client itself."""
    return {name: value for name, value in headers.items() if name != "host"}
