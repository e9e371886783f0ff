"""While the engine works, a request holds its pictures and nothing of the forms in which they came."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import random
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import httpx
import pytest
from contracts.aliyun import bench as aliyun
from contracts.aws import bench as aws
from contracts.calling import Call, is_success
from contracts.facepp import bench as facepp
from contracts.jdcloud import calling as jdcloud
from fakes import TEST_KEY, make_services

from visavis_client.errors import EngineBusy, PictureUnreadable
from visavis_client.faces import BoundingBox, PictureAnalysis
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face
from visavis_proxy.app import create_app

#: Behind a picture's end, where no decoder looks.
_PADDING: Final = random.Random(1).randbytes(2**20)
PROBE, REFERENCE = (facepp.ANNA + _PADDING, facepp.BERTA + _PADDING)
ANSWERS = {picture: fake_analysis(fake_face(1.0, 0.0)) for picture in (PROBE, REFERENCE)}
#: What a request may hold beside its pictures: less than half of the shortest form of any of them.
_BESIDE: Final = len(PROBE) // 2


def _text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _aws() -> Call:
    body = aws.as_json(aws.img(PROBE))
    headers = aws.signed(body, url=f"http://{aliyun.HOST}{aws.PATH}")
    return {"url": aws.PATH, "content": body, "headers": headers}


def _jdcloud(encode: Callable[[bytes], bytes] = bytes) -> Call:
    body = encode(jdcloud.body_of(PROBE, REFERENCE))
    return {"url": jdcloud.PATH, "content": body, "headers": jdcloud.Signer(now=time.time()).headers(body)}


def _aliyun(sign: Callable[..., aliyun.Call], **public: str) -> Call:
    call = sign(aliyun.form(aliyun.inline(PROBE), aliyun.inline(REFERENCE)), **public)
    return {"url": "/", "params": call.query, "content": call.body, "headers": call.headers}


def _facepp(texts: Mapping[str, str], *, path: str = facepp.COMPARE, files: Mapping[str, bytes] | None = None) -> Call:
    key = {"api_key": TEST_KEY.id, "api_secret": TEST_KEY.secret.get_secret_value()}
    return {"url": path, "data": {**key, **texts}, "files": files}


def _texts() -> dict[str, str]:
    return {"image_base64_1": _text(PROBE), "image_base64_2": _text(REFERENCE)}


#: Every way in which pictures come in a body, and the pictures.
CALLS: Mapping[str, tuple[Callable[[], Call], tuple[bytes, ...]]] = {
    "aws": (_aws, (PROBE,)),
    "jdcloud": (_jdcloud, (PROBE, REFERENCE)),
    "jdcloud, encoded twice": (
        lambda: _jdcloud(lambda body: json.dumps(body.decode()).encode()),
        (PROBE, REFERENCE),
    ),
    "aliyun, rpc": (lambda: _aliyun(aliyun.rpc, Timestamp=aliyun.stamp(time.time())), (PROBE, REFERENCE)),
    "aliyun, acs3": (lambda: _aliyun(aliyun.acs3, x_acs_date=aliyun.stamp(time.time())), (PROBE, REFERENCE)),
    "facepp, urlencoded": (lambda: _facepp(_texts()), (PROBE, REFERENCE)),
    "facepp, multipart texts": (lambda: _facepp(_texts(), files={"ignored": b""}), (PROBE, REFERENCE)),
    "facepp, files": (
        lambda: _facepp({}, files={"image_file1": PROBE, "image_file2": REFERENCE}),
        (PROBE, REFERENCE),
    ),
    "facepp, detect": (lambda: _facepp({"image_base64": _text(PROBE)}, path=facepp.DETECT), (PROBE,)),
}


class PatientEngine(FakeEngine):
    """Answers when it is told to; holds no picture of its own."""

    def __init__(self) -> None:
        super().__init__(ANSWERS)
        self.waiting = 0
        self.go = asyncio.Event()

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,
    ) -> PictureAnalysis:
        self.waiting += 1
        await self.go.wait()
        return await super().analyse(image, max_faces=max_faces, region=region, timeout_s=timeout_s)


class FailingEngine(FakeEngine):
    """Fails in one way, after a while."""

    def __init__(self, error: type[Exception] | None) -> None:
        """Without an error it finds no face."""
        super().__init__({})
        self._kind = error

    async def analyse(
        self,
        image: bytes,
        *,
        max_faces: int = 1,
        region: BoundingBox | None = None,
        timeout_s: float | None = None,
    ) -> PictureAnalysis:
        await asyncio.sleep(0)
        if self._kind:
            raise self._kind
        return fake_analysis()


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Bytes that were allocated since and are held; what only a collection would find counts as held."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()


async def settled(held: Callable[[], int], limit: int) -> int:
    """What is held in the end: a thread, or the event loop, lets go of its last call a moment later."""
    for _ in range(100):
        if held() < limit:
            break
        await asyncio.sleep(0.02)
    return held()


@asynccontextmanager
async def sending(call: Call, engine: FakeEngine) -> AsyncIterator[Callable[[], Coroutine[Any, Any, httpx.Response]]]:
    """Sends that call to the whole app; the request itself, which the test holds, is made before."""
    transport = httpx.ASGITransport(create_app(make_services(engine, clock=time.time)))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{aliyun.HOST}") as client:
        request = client.build_request("POST", **call)
        request.read()
        yield lambda: client.send(request)


@pytest.mark.parametrize(("call", "pictures"), CALLS.values(), ids=CALLS)
def test_nothing_but_the_pictures_is_held_while_the_engine_works(
    call: Callable[[], Call], pictures: tuple[bytes, ...]
) -> None:
    """Body, texts and parsed forms are gone by then, without waiting for a collection."""

    limit = sum(map(len, pictures)) + _BESIDE

    async def run() -> int:
        engine = PatientEngine()
        async with sending(call(), engine) as send:
            with traced() as held:
                answer = asyncio.create_task(send())
                async with asyncio.timeout(30):
                    while engine.waiting < len(pictures):  # noqa: ASYNC110 (nobody announces it)
                        await asyncio.sleep(0)
                told = await settled(held, limit)
                engine.go.set()
                assert is_success(await answer)
        return told

    assert asyncio.run(run()) < limit


@pytest.mark.parametrize("error", [None, EngineBusy, PictureUnreadable, ValueError])
@pytest.mark.parametrize("call", [call for call, _ in CALLS.values()], ids=CALLS)
def test_nothing_is_held_once_a_call_has_failed(call: Callable[[], Call], error: type[Exception] | None) -> None:
    """Its error's traceback knows every picture, and goes with the answer, without waiting for a collection."""

    async def run() -> int:
        async with sending(call(), FailingEngine(error)) as send:
            with traced() as held:
                await send()
                return await settled(held, _BESIDE)

    assert asyncio.run(run()) < _BESIDE
