"""Where the workers count is empty at every start, not on the data directory's disk, and gone in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis_server.numbers_folder import numbers_folder


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    (tmp_path / "memory").mkdir()
    return tmp_path / "memory"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_it_is_in_memory_while_the_service_runs(data: Path, memory: Path) -> None:
    with numbers_folder(data, memory) as folder:
        assert folder.parent == memory
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "counter_1.db").write_bytes(b"1")
        assert (data / "metrics" / "counter_1.db").read_bytes() == b"1"
    assert not [*memory.iterdir(), *data.iterdir()]


def test_what_a_killed_service_left_is_gone_at_the_next_start(data: Path, memory: Path) -> None:
    left = numbers_folder(data, memory)
    with left as old:
        (old / "counter_1.db").write_bytes(b"1")
        with numbers_folder(data, memory) as folder:
            assert not [*folder.iterdir()]
            assert [*memory.iterdir()] == [folder]


def test_a_folder_of_a_former_release_makes_room(data: Path, memory: Path) -> None:
    (data / "metrics").mkdir()
    (data / "metrics" / "counter_1.db").write_bytes(b"1")
    with numbers_folder(data, memory) as folder:
        assert not [*folder.iterdir()]


def test_a_link_to_something_else_is_taken_away_and_nothing_behind_it(data: Path, memory: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (data / "metrics").symlink_to(tmp_path / "precious")
    with numbers_folder(data, memory):
        assert (tmp_path / "precious").is_dir()


def test_without_shared_memory_it_is_in_the_data_directory(data: Path, tmp_path: Path) -> None:
    with numbers_folder(data, tmp_path / "nowhere") as folder:
        assert folder.parent == data
    assert not [*data.iterdir()]
