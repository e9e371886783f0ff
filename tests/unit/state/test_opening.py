"""The store that settings name, and what is said where there is none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from visavis_proxy.settings import Settings, SettingsInvalid, StateSettings
from visavis_proxy.state import StateUnavailable, open_store, store_name
from visavis_proxy.state.opening import shared_by_machines


def settings_of(url: str | None, data_dir: Path) -> Settings:
    return Settings(state=StateSettings(url=None if url is None else SecretStr(url)), data_dir=data_dir)


def test_the_default_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    asyncio.run(open_store(settings_of(None, tmp_path / "data")).close())
    assert (tmp_path / "data" / "state.sqlite3").exists()


@pytest.mark.parametrize("slashes", ["sqlite://", "sqlite:///"])
def test_a_sqlite_path_is_absolute_with_three_slashes_or_four(tmp_path: Path, slashes: str) -> None:
    asyncio.run(open_store(settings_of(f"{slashes}{tmp_path}/x/other.db", tmp_path)).close())
    assert (tmp_path / "x" / "other.db").exists()


@pytest.mark.parametrize(
    "url", ["", "mysql://host/db", "sqlite://", "sqlite:///", "sqlite://relative.db", "redis", "/a"]
)
def test_what_names_no_store_is_refused_in_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^VISAVIS_STATE__URL must be [^\n]*$"):
        open_store(settings_of(url, tmp_path))


def test_a_redis_url_that_is_none_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        open_store(settings_of("redis://:secret@host:none/0", tmp_path))
    assert "secret" not in str(refusal.value)


def test_a_redis_that_is_not_there_is_told_in_one_sentence(tmp_path: Path) -> None:
    # Port 1 of the loopback interface: nothing listens there.
    with pytest.raises(StateUnavailable, match=r"^the Redis of VISAVIS_STATE__URL does not answer: [^\n]*$") as refusal:
        open_store(settings_of("redis://:secret@127.0.0.1:1/0", tmp_path))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shared"),
    [
        (None, False),
        ("sqlite:///a/b", False),
        ("unix:///run/redis.sock", False),
        ("redis://127.0.0.1:6379/0", False),
        ("redis://[::1]:6379/0", False),
        ("redis://redis:6379/0", True),
        ("rediss://user:password@cache.example:6380/1", True),
    ],
)
def test_a_redis_elsewhere_is_shared_by_machines(tmp_path: Path, url: str | None, shared: bool) -> None:
    assert shared_by_machines(settings_of(url, tmp_path)) is shared


def test_the_data_directory_is_the_users_unless_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Settings().data_directory == tmp_path / "visavis"
    assert Settings(data_dir=tmp_path / "own").data_directory == tmp_path / "own"


def test_a_redis_without_the_extra_stops_the_start_with_one_sentence() -> None:
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from visavis_proxy.settings import Settings, SettingsInvalid\n"
        "from visavis_proxy.state import open_store\n"
        "try: open_store(Settings(state={'url': 'redis://127.0.0.1:6379/0'}))\n"
        "except SettingsInvalid as refusal: print(refusal)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == (
        "VISAVIS_STATE__URL names a Redis, but redis is missing: install the extra `redis` "
        "(in the project's folder: pip install '.[redis]')\n"
    )


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (None, "/data/state.sqlite3"),
        ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("rediss://user:secret@cache.example:6380/2", "rediss://cache.example:6380/2"),
        ("unix://:secret@/run/valkey.sock?db=1", "unix:///run/valkey.sock"),
    ],
)
def test_a_store_is_named_without_its_password(url: str | None, name: str) -> None:
    assert store_name(settings_of(url, Path("/data"))) == name
