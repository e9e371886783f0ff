"""Face tokens: whose they are, what they resolve to, and what the store may know of them."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clocks import Clock
from fakes import FakeState
from pydantic import SecretStr
from typer.testing import CliRunner

from visavis_client.faces import ModelIdentity, Template
from visavis_proxy.face_tokens import StoredFaceTokens, open_face_tokens, purge_tokens
from visavis_proxy.sealing import SealBroken, Sealer, new_key, open_sealer
from visavis_proxy.settings import Settings, SettingsInvalid, StateSettings
from visavis_proxy.state import open_store
from visavis_server.tokens import app

pytestmark = pytest.mark.anyio

MODEL = ModelIdentity("opencv-0123456789ab")
OTHER_MODEL = ModelIdentity("opencv-ffffffffffff")
KEY, OTHER_KEY = bytes(range(32)), bytes(32)
TTL_S = 72 * 3600.0


def template(*, model: ModelIdentity = MODEL, seed: int = 1) -> Template:
    return Template.from_embedding(np.random.default_rng(seed).normal(size=128).astype(np.float32) * 7, model)


def tokens_in(state: FakeState, *keys: bytes, model: ModelIdentity = MODEL, ttl_s: float = TTL_S) -> StoredFaceTokens:
    return StoredFaceTokens(state, Sealer(keys or (KEY,)), model, ttl_s=ttl_s)


def settings_of(data_dir: Path, key: str | None = None) -> Settings:
    return Settings(data_dir=data_dir, state=StateSettings(encryption_key=None if key is None else SecretStr(key)))


async def test_a_token_resolves_to_its_template_bit_for_bit() -> None:
    tokens = tokens_in(FakeState())
    made = [template(seed=1), template(seed=2)]
    issued = await tokens.issue("key", made)
    assert all(len(token) == 32 and set(token) <= set("0123456789abcdef") for token in issued)
    for token, expected in zip(issued, made, strict=True):
        found = await tokens.find("key", token)
        assert found is not None
        assert np.array_equal(found.vector, expected.vector)
        assert (found.model, found.norm) == (expected.model, expected.norm)


async def test_every_issue_gives_a_new_token() -> None:
    tokens = tokens_in(FakeState())
    same = template()
    assert len({*await tokens.issue("key", [same, same]), *await tokens.issue("key", [same])}) == 3


async def test_a_face_without_a_template_gets_a_token_that_resolves_to_nothing() -> None:
    tokens = tokens_in(FakeState())
    with_template, without = await tokens.issue("key", [template(), None])
    assert await tokens.find("key", with_template) is not None
    assert await tokens.find("key", without) is None


@pytest.mark.parametrize("given", ["", "0" * 32, "g" * 32, "0" * 31, "0" * 32 + "\n", "\ud800", "٣" * 32])
async def test_what_is_no_token_resolves_to_nothing(given: str) -> None:
    assert await tokens_in(FakeState()).find("key", given) is None


async def test_another_keys_token_resolves_to_nothing() -> None:
    tokens = tokens_in(FakeState())
    (token,) = await tokens.issue("key", [template()])
    assert await tokens.find("other", token) is None


async def test_another_models_token_resolves_to_nothing() -> None:
    state = FakeState()
    (token,) = await tokens_in(state).issue("key", [template()])
    assert await tokens_in(state, model=OTHER_MODEL).find("key", token) is None


async def test_a_token_lives_as_long_as_it_should() -> None:
    clock = Clock()
    tokens = tokens_in(FakeState(clock))
    (token,) = await tokens.issue("key", [template()])
    await clock.pass_time(TTL_S - 1)
    assert await tokens.find("key", token) is not None
    await clock.pass_time(2)
    assert await tokens.find("key", token) is None


async def test_the_store_learns_neither_token_nor_owner_nor_template() -> None:
    state = FakeState()
    made = template()
    (token,) = await tokens_in(state).issue("the-owner", [made])
    ((key, (_, value)),) = state._values.items()
    for secret in (token.encode(), b"the-owner", made.vector.tobytes()[:16], MODEL.encode()):
        assert secret not in key.encode() + value


async def test_a_value_moved_to_another_token_does_not_open_there() -> None:
    state = FakeState()
    tokens = tokens_in(state)
    mine, theirs = await tokens.issue("me", [template(seed=1)]), await tokens.issue("them", [template(seed=2)])
    one, other = state._values
    state._values[one], state._values[other] = state._values[other], state._values[one]
    assert await tokens.find("me", mine[0]) is None
    assert await tokens.find("them", theirs[0]) is None


async def test_a_key_can_be_replaced_without_a_token_lost(caplog: pytest.LogCaptureFixture) -> None:
    state = FakeState()
    (old,) = await tokens_in(state, KEY).issue("key", [template()])
    both = tokens_in(state, OTHER_KEY, KEY)
    (new,) = await both.issue("key", [template()])
    assert await both.find("key", old) is not None
    after = tokens_in(state, OTHER_KEY)
    assert await after.find("key", new) is not None
    with caplog.at_level(logging.WARNING):
        assert await after.find("key", old) is None
    assert "no longer configured" in caplog.text
    assert old not in caplog.text


@pytest.mark.parametrize("position", [0, 12, -1])
def test_a_sealed_value_that_was_altered_does_not_open(position: int) -> None:
    sealed = bytearray(Sealer([KEY]).seal(b"plain", b"place"))
    sealed[position] ^= 1
    with pytest.raises(SealBroken):
        Sealer([KEY]).open(bytes(sealed), b"place")


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_what_is_too_short_to_have_been_sealed_does_not_open(length: int) -> None:
    with pytest.raises(SealBroken):
        Sealer([KEY]).open(bytes(length), b"place")


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    sealed = open_sealer(settings).seal(b"plain", b"place")
    assert open_sealer(settings).open(sealed, b"place") == b"plain"
    (file,) = (tmp_path / "data").iterdir()
    assert file.name == "templates.key"
    assert file.stat().st_mode & 0o777 == 0o600


def test_workers_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from visavis_proxy.sealing import open_sealer; from visavis_proxy.settings import Settings\n"
        "sys.stdin.read()\n"
        "print(open_sealer(Settings(data_dir=Path(sys.argv[1]))).seal(b'plain', b'place').hex())\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    sealed = [bytes.fromhex(worker.communicate("", timeout=60)[0]) for worker in workers]
    opened = open_sealer(settings_of(tmp_path))
    assert [opened.open(each, b"place") for each in sealed] == [b"plain"] * 4
    assert [file.name for file in tmp_path.iterdir()] == ["templates.key"]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o660, 0o644])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    open_sealer(settings_of(tmp_path))
    (tmp_path / "templates.key").chmod(mode)
    with pytest.raises(SettingsInvalid, match="chmod 600"):
        open_sealer(settings_of(tmp_path))


def test_a_key_file_may_be_read_by_its_group(tmp_path: Path) -> None:
    """As Kubernetes gives a volume to a user other than root."""
    sealed = open_sealer(settings_of(tmp_path)).seal(b"plain", b"place")
    (tmp_path / "templates.key").chmod(0o440)
    assert open_sealer(settings_of(tmp_path)).open(sealed, b"place") == b"plain"


@pytest.mark.parametrize("key", ["", "short", new_key()[:-4], new_key() + ",", "ü" * 44, new_key() + ",short"])
def test_a_setting_that_is_no_key_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsInvalid, match="VISAVIS_STATE__ENCRYPTION_KEY must be") as refusal:
        open_sealer(settings_of(tmp_path, key))
    assert not key or key not in str(refusal.value)


def test_a_key_of_the_settings_makes_no_file(tmp_path: Path) -> None:
    one, two = new_key(), new_key()
    sealed = open_sealer(settings_of(tmp_path, one)).seal(b"plain", b"place")
    assert open_sealer(settings_of(tmp_path, f"{two}, {one}\n")).open(sealed, b"place") == b"plain"
    assert not list(tmp_path.iterdir())


def test_machines_that_share_a_redis_must_be_given_a_key(tmp_path: Path) -> None:
    state = StateSettings(url=SecretStr("redis://redis.example:6379/0"))
    with pytest.raises(SettingsInvalid, match="visavis tokens new-key"):
        open_sealer(Settings(data_dir=tmp_path, state=state))


async def test_a_token_outlives_a_restart_and_not_a_purge(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    first = open_store(settings)
    (token,) = await open_face_tokens(settings, first, MODEL).issue("key", [template()])
    await first.close()
    second = open_store(settings)
    tokens = open_face_tokens(settings, second, MODEL)
    assert await tokens.find("key", token) is not None
    assert await purge_tokens(settings, expired_only=True) == 0
    assert await tokens.find("key", token) is not None
    assert await purge_tokens(settings, expired_only=False) == 1
    assert await tokens.find("key", token) is None
    await second.close()


def test_a_printed_key_can_be_used(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["new-key"]).stdout
    assert open_sealer(settings_of(tmp_path, printed)).seal(b"plain", b"place")
