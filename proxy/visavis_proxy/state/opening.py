"""The store that settings ask for."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from visavis_proxy.settings import Settings, SettingsInvalid
from visavis_proxy.state.sqlite import SqliteStore
from visavis_proxy.state.store import StateStore, StateUnavailable

_FILE_NAME = "state.sqlite3"
_REDIS_SCHEMES = {"redis", "rediss", "unix"}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def open_store(settings: Settings) -> StateStore:
    """Open the store and make sure that it answers; blocks for some seconds at worst.

    Raises:
        SettingsInvalid: no URL of a store, or one whose client is not installed.
        StateUnavailable: the store does not answer.
    """
    file = state_file(settings)
    if file is not None:
        return SqliteStore(file)
    url = _url(settings) or ""
    scheme, separator, _ = url.partition("://")
    if separator and scheme in _REDIS_SCHEMES:
        return _open_redis(url)
    raise SettingsInvalid(
        "VISAVIS_STATE__URL must be sqlite:///absolute/path, redis://host:port/0, rediss://… or unix:///socket"
    )


def state_file(settings: Settings) -> Path | None:
    """SQLite's file, which may not exist yet; None where the settings name none."""
    url = _url(settings)
    if url is None:
        return settings.data_directory / _FILE_NAME
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        return Path("/" + rest.lstrip("/"))
    return None


def store_name(settings: Settings) -> str:
    """Which store that is, for a person: SQLite's file, or the URL of a Redis without user and password."""
    file = state_file(settings)
    if file is not None:
        return str(file)
    parts = urlsplit(_url(settings) or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def backend_of(settings: Settings) -> str:
    """``sqlite`` or ``redis``."""
    scheme = (_url(settings) or "sqlite:").partition(":")[0]
    return "redis" if scheme in _REDIS_SCHEMES else "sqlite"


def shared_by_machines(settings: Settings) -> bool:
    """Whether other machines may use the same store."""
    parts = urlsplit(_url(settings) or "")
    return parts.scheme in {"redis", "rediss"} and parts.hostname not in _LOOPBACK


def _url(settings: Settings) -> str | None:
    return settings.state.url.get_secret_value() if settings.state.url is not None else None


def _open_redis(url: str) -> StateStore:
    try:
        import redis

        from visavis_proxy.state.redis import RedisStore
    except ImportError as error:
        raise SettingsInvalid(
            f"VISAVIS_STATE__URL names a Redis, but {error.name} is missing: install the extra `redis` "
            "(in the project's folder: pip install '.[redis]')"
        ) from error
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=2.0) as once:
            once.ping()
        return RedisStore(url)
    except ValueError as error:
        raise SettingsInvalid("VISAVIS_STATE__URL is no URL of a Redis: redis://host:port/0") from error
    except (redis.exceptions.RedisError, OSError) as error:
        raise StateUnavailable(f"the Redis of VISAVIS_STATE__URL does not answer: {error}") from error
