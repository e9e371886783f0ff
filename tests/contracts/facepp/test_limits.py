"""What is just allowed: whose tokens and which pictures are taken, and how long a call may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from contracts.facepp import bench
from contracts.facepp.bench import ANNA, BERTA, FORMAL, KEY, PICTURE_URL, TRIAL_KEY, client, draw, files, text
from fakes import FakeFetcher, FakeState

from visavis_client.faces import ModelIdentity
from visavis_client.fakes import FAKE_MODEL, FakeEngine
from visavis_proxy.face_tokens import StoredFaceTokens
from visavis_proxy.fetch import Hold, unheld
from visavis_proxy.sealing import Sealer

documented = pytest.mark.documented


def test_tokens_belong_to_their_key() -> None:
    """Another key's token is an unknown one."""
    caller = client()
    token = caller.token(ANNA, owner=FORMAL.id)
    answer = caller.compare(TRIAL_KEY | {"face_token1": token}, files=files(None, ANNA))
    assert answer.json()["error_message"] == f"INVALID_FACE_TOKEN:{token}"


def test_tokens_belong_to_their_model() -> None:
    """Two services over one store: the one with a new embedder refuses the other's token, which that still takes."""
    state, sealer = FakeState(), Sealer((bytes(range(32)),))
    old, new = (
        client(replace(bench.services(), face_tokens=StoredFaceTokens(state, sealer, model, ttl_s=60)))
        for model in (FAKE_MODEL, ModelIdentity("fake-0001"))
    )
    (face,) = old.detect(files={"image_file": ANNA}).json()["faces"]
    given = KEY | {"face_token1": face["face_token"]}
    assert old.compare(given, files=files(None, ANNA)).status_code == 200
    refused = new.compare(given, files=files(None, ANNA))
    assert refused.status_code == 400
    assert refused.json()["error_message"] == f"INVALID_FACE_TOKEN:{face['face_token']}"


def test_a_wrong_secret_costs_the_keys_owner_nothing() -> None:
    """Calls with a wrong secret take nothing from the key's rate."""
    caller = client(bench.services(keys=(FORMAL.model_copy(update={"qps": 1}),), clock=lambda: 1_800_000_000.0))
    for _ in range(3):
        assert caller.compare(KEY | {"api_secret": "guess"}).status_code == 401
    assert caller.compare(files=files(ANNA, BERTA)).status_code == 200


@documented("facepp", "field", "图片像素尺寸", "图片文件大小")
def test_limits_are_inclusive() -> None:
    """48 and 4096 pixels and exactly 2 MiB are allowed."""
    small, large = draw(48, 48), draw(48, 4096)
    full = small + bytes(2 * 2**20 - len(small))
    caller = client(bench.services(dict.fromkeys((small, large, full), bench.ANALYSES[ANNA])))
    assert caller.compare(files=files(small, large)).status_code == 200
    assert caller.compare(files=files(full, large)).status_code == 200


def test_two_pictures_of_the_largest_size_fit_a_request_in_every_form() -> None:
    """Two pictures of 2 MiB pass as files and as percent-encoded base64: the document's own limit is the file's."""
    full = [draw(48 + n, 48) for n in range(2)]
    full = [picture + bytes(range(256)) * ((2 * 2**20 - len(picture)) // 256) for picture in full]
    caller = client(bench.services(dict.fromkeys(full, bench.ANALYSES[ANNA])))
    assert caller.compare(files=files(*full)).status_code == 200
    answer = caller.compare(KEY | {"image_base64_1": text(full[0]), "image_base64_2": text(full[1])})
    assert answer.status_code == 200, answer.text


@documented("facepp", "field", "图片格式")
def test_formats() -> None:
    """JPEG and PNG are taken, by what they are and not by what they are called; BMP is not."""
    pictures = {kind: draw(64, 64, kind) for kind in ("JPEG", "PNG", "BMP")}
    caller = client(bench.services(dict.fromkeys(pictures.values(), bench.ANALYSES[ANNA])))
    given = {kind: caller.detect(files={"image_file": ("x.gif", picture)}) for kind, picture in pictures.items()}
    assert {kind: answer.status_code for kind, answer in given.items()} == {"JPEG": 200, "PNG": 200, "BMP": 400}


def test_a_late_fetch_leaves_the_engine_the_rest_of_the_time() -> None:
    """What fetching took is taken from the engine's time, so that the answer is within ten seconds in all."""
    seen: list[float | None] = []

    class Watching(FakeEngine):
        async def analyse(self, image: bytes, *, timeout_s: float | None = None, **given: object):  # type: ignore[no-untyped-def, override]
            seen.append(timeout_s)
            return await super().analyse(image, **given)  # type: ignore[arg-type]

    class Slow(FakeFetcher):
        async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
            await asyncio.sleep(0.3)
            return ANNA

    patient = bench.services(settings=bench.settings(answer_within_s=8.0))
    given = replace(patient, engine=Watching(bench.ANALYSES), fetcher=Slow())
    assert client(given).compare(KEY | {"image_url1": PICTURE_URL}, files=files(None, ANNA)).status_code == 200
    assert all(timeout is not None and 1 < timeout <= 7.7 for timeout in seen)


@pytest.mark.parametrize("call", ["take", "keep", "recall"])
def test_a_slow_state_is_within_the_time_to_answer(call: str) -> None:
    """Key's rate, looking a token up, issuing tokens: whatever is slow, the answer comes in time, and is the document's
    advice to ask again."""

    class Slow(FakeState):
        async def take(self, bucket: str, per_second: float) -> bool:
            return await self._late("take") or await super().take(bucket, per_second)

        async def keep(self, values: Mapping[str, bytes], ttl_s: float) -> None:
            await self._late("keep")
            await super().keep(values, ttl_s)

        async def recall(self, keys: list[str]) -> list[bytes | None]:
            await self._late("recall")
            return await super().recall(keys)

        async def _late(self, what: str) -> bool:
            if what == call:
                await asyncio.sleep(30)
            return False

    state = Slow()
    tokens = StoredFaceTokens(state, Sealer((bytes(range(32)),)), FAKE_MODEL, ttl_s=60)
    given = replace(bench.services(settings=bench.settings(answer_within_s=0.3)), state=state, face_tokens=tokens)
    sides = {"face_token1": "0" * 32} if call == "recall" else {}
    begun = time.monotonic()
    answer = client(given).compare(KEY | sides, files=files(None if sides else ANNA, BERTA))
    assert (answer.status_code, answer.json()["error_message"]) == (500, "INTERNAL_ERROR")
    assert 0.3 <= time.monotonic() - begun < 10
