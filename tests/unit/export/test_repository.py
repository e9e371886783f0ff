"""Files of the model repository appear whole and together, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from visavis_export import repository as module
from visavis_export.errors import RepositoryUnwritable
from visavis_export.repository import DETECTOR, EMBEDDER, RECORD, Repository

OLD = {DETECTOR: b"old detector", EMBEDDER: b"old embedder"}
NEW = {DETECTOR: b"new detector", EMBEDDER: b"new embedder"}


def nobody_waits() -> None:
    raise AssertionError("nobody else is at work")


def contents(root: Path) -> dict[str, bytes]:
    """All files but the lock."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".export.lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def filled(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "models")
    with repository.locked(nobody_waits):
        repository.install(OLD, b"old record")
    return repository


def test_everything_is_replaced_and_nothing_else_left(filled: Repository) -> None:
    """After an installation there are the new files, without temporary ones."""
    filled.install(NEW, b"new record")
    assert contents(filled.root) == {**NEW, RECORD: b"new record"}


@pytest.mark.parametrize("failing", range(1, 4))
def test_a_failure_half_way_brings_the_old_files_back(
    filled: Repository, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the three renames fails, all old files are in their places again, the record too."""
    rename, calls = os.replace, iter(range(1, 100))

    def replace(source: Path, target: Path) -> None:
        if next(calls) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(module.os, "replace", replace)
    with pytest.raises(RepositoryUnwritable, match=r"Input/output error\); it is as it was\.$"):
        filled.install(NEW, b"new record")
    assert contents(filled.root) == {**OLD, RECORD: b"old record"}


def test_a_first_installation_that_fails_leaves_no_files(tmp_path: Path) -> None:
    """Where a folder bears a graph's name, nothing is installed and nothing removed."""
    (tmp_path / EMBEDDER).mkdir(parents=True)
    with pytest.raises(RepositoryUnwritable):
        Repository(tmp_path).install(NEW, b"record")
    assert contents(tmp_path) == {}
    assert (tmp_path / EMBEDDER).is_dir()


def test_two_exports_do_not_meet(filled: Repository) -> None:
    """The second waits, says so once, and goes on when the first is done."""
    waiting, done = threading.Event(), threading.Event()

    def second() -> None:
        with Repository(filled.root).locked(waiting.set):
            done.set()

    other = threading.Thread(target=second)
    with filled.locked(nobody_waits):
        other.start()
        assert waiting.wait(10)
        assert not done.is_set()
    other.join(10)
    assert done.is_set()


@pytest.mark.parametrize("given", [".", "new", "new/deep"])
def test_an_export_that_fails_leaves_no_folder_that_was_not_there(tmp_path: Path, given: str) -> None:
    """A licence that is not accepted, say."""
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyError), Repository(tmp_path / "there" / given).locked(nobody_waits):
        raise KeyError
    assert (tmp_path / "there").is_dir()
    assert contents(tmp_path) == {}
    assert not (tmp_path / "there" / "new").exists()


def test_who_waited_for_an_export_that_failed_has_a_lock_that_keeps_others_out(tmp_path: Path) -> None:
    """The first one's lock went with its folder."""
    repository, waiting, held, done = Repository(tmp_path / "new"), *(threading.Event() for _ in range(3))

    def second() -> None:
        with repository.locked(waiting.set):
            held.set()
            assert done.wait(10)

    def fail() -> None:
        with repository.locked(nobody_waits):
            other.start()
            assert waiting.wait(10)
            raise KeyError

    other = threading.Thread(target=second)
    with pytest.raises(KeyError):
        fail()
    assert held.wait(10)
    with (repository.root / ".export.lock").open("wb") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    done.set()
    other.join(10)


def test_what_a_killed_export_left_is_swept_away(filled: Repository) -> None:
    """Temporary files of an earlier run are gone after the next one starts."""
    leftover = (filled.root / DETECTOR).with_name(".export-new-model.onnx")
    leftover.write_bytes(b"half")
    with filled.locked(nobody_waits):
        assert not leftover.exists()


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    """A repository below a file is refused by name."""
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(RepositoryUnwritable, match="Not a directory"),
        Repository(tmp_path / "file" / "m").locked(nobody_waits),
    ):
        pass
