"""``visavis tokens purge`` deletes from the store that the service uses, says which one that is, and makes none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from visavis_proxy.settings import Settings
from visavis_proxy.state import open_store
from visavis_server.errors import CommandFailed
from visavis_server.main import app


async def _keep(data_dir: Path) -> None:
    store = open_store(Settings(data_dir=data_dir))
    await store.keep({"a": b"1", "b": b"2"}, 60)
    await store.close()


def told(*arguments: str | Path) -> str:
    run = CliRunner().invoke(app, ["tokens", "purge", *map(str, arguments)])
    assert run.exit_code == 0, run.output
    return run.stdout


def test_it_purges_the_data_directory_that_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its option, which comes before the environment; another store stays as it is."""
    given, other = tmp_path / "given", tmp_path / "other"
    for place in (given, other):
        asyncio.run(_keep(place))
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(other))
    assert told("--data-dir", given) == f"2 templates deleted from {given / 'state.sqlite3'}\n"
    assert told("--expired") == f"0 templates deleted from {other / 'state.sqlite3'}\n"
    assert told() == f"2 templates deleted from {other / 'state.sqlite3'}\n"


@pytest.mark.parametrize("by_url", [False, True])
def test_where_no_service_ever_kept_state_it_fails_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_url: bool
) -> None:
    data, file = tmp_path / "data", tmp_path / "data" / "state.sqlite3"
    if by_url:
        file = tmp_path / "elsewhere.sqlite3"
        monkeypatch.setenv("VISAVIS_STATE__URL", f"sqlite://{file}")
    run = CliRunner().invoke(app, ["tokens", "purge", "--data-dir", str(data)])
    assert isinstance(run.exception, CommandFailed)
    assert str(run.exception).startswith(f"{file} is not there, and nothing was deleted: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VISAVIS_STATE__URL", "hidden://host/db"),
        ("VISAVIS_STATE__FACE_TOKEN_TTL_S", "hidden"),
        ("VISAVIS_S3__BUCKETS", "[hidden, not JSON"),
    ],
)
def test_a_setting_that_is_none_is_told_in_one_line_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    run = CliRunner().invoke(app, ["tokens", "purge", "--data-dir", str(tmp_path)])
    assert isinstance(run.exception, CommandFailed)
    said = str(run.exception)
    assert "VISAVIS_" in said
    assert "\n" not in said
    assert "hidden" not in said
