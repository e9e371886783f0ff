"""Where the workers count is in memory, a service's own, and gone in the end, however that comes."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from visavis_server.errors import CommandFailed
from visavis_server.numbers_folder import hold, numbers_folder


def made_long_ago(folder: Path) -> None:
    then = time.time() - 60
    os.utime(folder, (then, then))


def test_it_is_in_memory_while_the_service_runs(tmp_path: Path) -> None:
    with numbers_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "counter_1.db").write_bytes(b"1")
    assert not [*tmp_path.iterdir()]


def test_what_a_killed_service_left_is_gone_at_the_next_start(tmp_path: Path) -> None:
    left = Path(tempfile.mkdtemp(prefix="visavis_numbers_", dir=tmp_path))
    (left / "counter_1.db").write_bytes(b"1")
    made_long_ago(left)
    with numbers_folder(tmp_path) as folder:
        assert [*tmp_path.iterdir()] == [folder]


def test_another_service_keeps_its_own(tmp_path: Path) -> None:
    """Also one that has just begun, and has not yet taken hold of it."""
    beginning = Path(tempfile.mkdtemp(prefix="visavis_numbers_", dir=tmp_path))
    with numbers_folder(tmp_path) as first:
        made_long_ago(first)
        with numbers_folder(tmp_path) as second:
            assert {*tmp_path.iterdir()} == {beginning, first, second}


def test_a_link_is_left_alone_with_what_is_behind_it(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    made_long_ago(tmp_path / "precious")
    (tmp_path / "visavis_numbers_x").symlink_to(tmp_path / "precious")
    with numbers_folder(tmp_path):
        assert (tmp_path / "precious").is_dir()


def test_without_shared_memory_it_is_among_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with numbers_folder(tmp_path / "nowhere") as folder:
        assert folder.parent == tmp_path


def full(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more can be made there."""
    make = tempfile.mkdtemp

    def mkdtemp(prefix: str, dir: Path) -> str:
        if dir == place:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return make(prefix=prefix, dir=dir)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)


def test_where_memory_is_full_it_is_among_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    memory = tmp_path / "memory"
    memory.mkdir()
    full(memory, monkeypatch)
    with numbers_folder(memory) as folder:
        assert folder.parent == tmp_path


def test_where_everything_is_full_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    full(tmp_path, monkeypatch)
    with pytest.raises(CommandFailed, match=r"no place in .*: No space left on device$"), numbers_folder(tmp_path):
        pass


def test_one_that_was_made_anew_is_held_as_well(tmp_path: Path) -> None:
    """Else the next service would take it away from a living one."""
    with numbers_folder(tmp_path) as folder:
        shutil.rmtree(folder)
        held = hold(folder)
        made_long_ago(folder)
        with numbers_folder(tmp_path):
            assert folder.is_dir()
        os.close(held)
    assert not folder.exists()
