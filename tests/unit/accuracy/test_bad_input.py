"""What a command cannot use is one sentence and exit 1, said before the work where it can be, and nothing is left."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from visavis_accuracy import main
from visavis_accuracy.files import PlaceUnusable, check_writable, write_json
from visavis_accuracy.main import faults
from visavis_accuracy.photographs import CollectionInvalid, read_bytes, read_directory
from visavis_accuracy.templates import TemplateCache, maker_of
from visavis_accuracy.terminal import read_models

MODELS = {"identity": "fake-1", "detector": {"sha256": "d" * 64}, "embedder": {"sha256": "e" * 64}}
#: Nobody listens there: a command that gets so far says so, in a sentence too.
NOWHERE = "127.0.0.1:9"


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("Ada", "Bob"):
        for number in (1, 2):
            photograph = tmp_path / "album" / name / f"{name}_000{number}.jpg"
            photograph.parent.mkdir(parents=True, exist_ok=True)
            photograph.write_bytes(f"{name}{number}".encode())
    return tmp_path / "album"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for step in ("image_decoder", "face_aligner"):
        (tmp_path / "models" / step / "1").mkdir(parents=True)
        (tmp_path / "models" / step / "1" / "model.py").write_text(step)
        (tmp_path / "models" / step / "config.pbtxt").write_text(step)
    (tmp_path / "models" / "models.json").write_text(json.dumps(MODELS))
    return tmp_path / "models"


def command(tmp_path: Path, *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "visavis_accuracy", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "80"},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--report", "/dev/null/report"), "/dev/null/report/evaluation.json cannot be written"),
        (("--model-repository", "nowhere"), "run `visavis export` first"),
        (("--drop", "album"), "is not a JSON object of names and reasons"),
    ],
)
def test_a_command_ends_with_a_sentence(
    tmp_path: Path, album: Path, repository: Path, options: tuple[str, ...], words: str
) -> None:
    status, said = command(tmp_path, "evaluate", album, "--triton", NOWHERE, "--model-repository", repository, *options)
    assert status == 1
    assert words in said
    assert "Traceback" not in said
    assert not (tmp_path / "build").exists()


def test_a_corrupt_cache_and_a_name_like_markup_are_told_as_they_are(
    tmp_path: Path, album: Path, repository: Path
) -> None:
    """Square brackets in a path are not taken for colours."""
    (tmp_path / "cache" / "visavis").mkdir(parents=True)
    (tmp_path / "cache" / "visavis" / "templates.sqlite").write_bytes(b"no database, and long enough to be told " * 99)
    status, said = command(tmp_path, "evaluate", album, "--triton", NOWHERE, "--model-repository", repository)
    assert status == 1
    assert "templates.sqlite (file is not a database): delete that file, or say --no-cache" in said
    assert "Traceback" not in said

    status, said = command(tmp_path, "evaluate", "[/album]", "--triton", NOWHERE, "--model-repository", repository)
    assert (status, said) == (1, "[/album] is not a directory\n")


def test_ctrl_c_is_told_and_where_templates_are_kept_that_another_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "photographs_of", interrupted)
    monkeypatch.setattr(main, "read_models", lambda _: {})
    for options, words in (((), "stopped; run again to go on from here\n"), (("--no-cache",), "stopped\n")):
        monkeypatch.setattr(sys, "argv", ["visavis", "evaluate", "album", *options])
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == 130
        assert capsys.readouterr().out == words


@pytest.mark.parametrize(
    "record",
    [
        "[]",
        "5",
        "{}",
        "{",
        '{"identity": "x"}',
        '{"identity": "x", "detector": 7}',
        '{"identity": "x", "detector": {}}',
    ],
)
def test_a_record_that_does_not_say_which_models_is_refused(tmp_path: Path, record: str) -> None:
    (tmp_path / "models.json").write_text(record)
    with pytest.raises(CollectionInvalid, match="run `visavis export"):
        read_models(tmp_path)
    (tmp_path / "models.json").write_text(json.dumps(MODELS))
    assert read_models(tmp_path) == MODELS


def test_a_photograph_is_a_file(album: Path) -> None:
    """A folder or a dead link of such a name is none."""
    (album / "Ada" / "2.jpg").mkdir()
    (album / "Ada" / "3.jpg").symlink_to("nowhere")
    assert [photograph.path.stem for photograph in read_directory(album)][:3] == ["Ada_0001", "Ada_0002", "Bob_0001"]


def test_a_name_that_no_report_could_hold_is_told_in_plain_letters(album: Path) -> None:
    try:
        os.rename(os.fsencode(album / "Ada"), os.fsencode(album / "Ada") + b"\xff")
    except OSError as error:
        pytest.skip(f"this file system knows UTF-8 alone: {error}")
    with pytest.raises(CollectionInvalid, match="is not UTF-8: rename it") as caught:
        read_directory(album)
    assert str(caught.value).isascii()


def test_a_photograph_that_is_gone_is_one_sentence(album: Path) -> None:
    with pytest.raises(CollectionInvalid, match=r"gone\.jpg cannot be read: No such file"):
        read_bytes(album / "gone.jpg")


def test_a_place_is_tried_before_the_work_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lacks a folder gets one, but only when the results are written."""
    check_writable(tmp_path / "deep" / "down" / "report.json")
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "deep" / "down" / "report.json", {"a": 1})
    (tmp_path / "file").touch()
    for path, words in (
        (tmp_path / "deep", "it is a folder"),
        (tmp_path / "file" / "report.json", "file is no folder"),
        (tmp_path / ("long" * 99) / "report.json", "name too long"),
    ):
        with pytest.raises(PlaceUnusable, match=f"(?i)cannot be written: .*{words}"):
            check_writable(path)
    # Root may write to any folder; a read-only disk refuses it too.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PlaceUnusable, match="may not be written to"):
        check_writable(tmp_path / "report.json")


def test_a_full_disk_is_a_sentence_of_each_failing_file() -> None:
    """Even in groups, as concurrent work reports them."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "report.json")
    assert faults(ExceptionGroup("work", [full, ExceptionGroup("more", [CollectionInvalid("no faces")])])) == {
        "report.json: No space left on device",
        "no faces",
    }


def test_a_cache_that_cannot_be_used_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlaceUnusable, match="--no-cache"):
        TemplateCache(tmp_path / "file" / "templates.sqlite")
    path = tmp_path / "templates.sqlite"
    cache = TemplateCache(path)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE templates")
    with pytest.raises(PlaceUnusable, match=r"no such table: templates\): delete that file"):
        cache.find("a", "b")
    with pytest.raises(PlaceUnusable, match=r"no such table: templates\): delete that file"):
        cache.keep("a", "b", b"")
    cache.close()


def changed(repository: Path, models: dict[str, Any]) -> list[str]:
    """The maker's name after each thing that decides what a template is."""
    names = [maker_of(repository, models)]
    for path in ("face_aligner/1/model.py", "image_decoder/1/new.py", "face_aligner/config.pbtxt"):
        (repository / path).write_text("of another day")
        names.append(maker_of(repository, models))
    names.append(maker_of(repository, {**models, "detector": {"sha256": "f" * 64}}))
    return [*names, maker_of(repository, {**models, "identity": "fake-2"})]


def test_templates_of_another_decoder_aligner_or_setting_are_made_anew(repository: Path) -> None:
    """Their cache knows them by every step; nothing else in the folder matters, such as what Python leaves there."""
    before = maker_of(repository, MODELS)
    (repository / "face_aligner" / "1" / "__pycache__").mkdir()
    (repository / "face_aligner" / "1" / "__pycache__" / "model.pyc").touch()
    assert maker_of(repository, MODELS) == before
    assert len(set(changed(repository, MODELS))) == 6
