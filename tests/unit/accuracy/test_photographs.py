"""Directories and pairs files are read as LFW has them, templates come once, and files are written whole."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from visavis_accuracy.bootstrap import Interval
from visavis_accuracy.enrolment import tell_unreadable
from visavis_accuracy.evaluation import RateRow, evaluate, found_only
from visavis_accuracy.files import write_json
from visavis_accuracy.photographs import (
    CollectionInvalid,
    Photograph,
    at_most_per_person,
    digest,
    read_directory,
)
from visavis_accuracy.report import as_json, facts, terminal_table, times_table, write
from visavis_accuracy.stage_times import StageTime, StageTimes
from visavis_accuracy.templates import TemplateCache, enrol
from visavis_accuracy.terminal import read_dropped
from visavis_client.errors import EngineBusy
from visavis_client.faces import PictureAnalysis
from visavis_client.fakes import FakeEngine, fake_analysis, fake_face


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name, count in (("Ada", 3), ("Bob", 2), ("Eve", 1)):
        (tmp_path / name).mkdir()
        for number in range(1, count + 1):
            (tmp_path / name / f"{name}_{number:04d}.jpg").write_bytes(f"{name}{number}".encode())
    (tmp_path / "notes.txt").write_text("no folder")
    return tmp_path


def engine() -> FakeEngine:
    faces = {b"Ada1": (1, 0.1), b"Ada2": (1, 0.2), b"Ada3": (1, 0.3), b"Bob1": (0.1, 1), b"Bob2": (0.2, 1)}
    return FakeEngine(
        {data: fake_analysis(fake_face(*row)) for data, row in faces.items()} | {b"Eve1": fake_analysis()}
    )


def test_a_folder_is_a_person(album: Path) -> None:
    assert [photograph.identity for photograph in read_directory(album)] == ["Ada"] * 3 + ["Bob"] * 2 + ["Eve"]
    assert {photograph.identity for photograph in read_directory(album, dropped={"Bob"})} == {"Ada", "Eve"}


def test_one_person_or_none_cannot_be_compared(album: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "absent", album / "Ada"):
        with pytest.raises(CollectionInvalid):
            read_directory(folder)


def test_templates_are_made_once_and_a_second_run_takes_them_from_the_cache(album: Path, tmp_path: Path) -> None:
    photographs = read_directory(album)
    cache = TemplateCache(tmp_path / "cache" / "templates.sqlite")
    models = engine()
    first = asyncio.run(enrol(photographs, models, cache, lambda _: None))
    again = asyncio.run(enrol(photographs, models, cache, lambda _: None))
    assert (first.analysed, again.analysed, len(models.asked)) == (6, 0, 6)
    assert first.found.tolist() == [True] * 5 + [False]
    assert np.array_equal(first.vectors, again.vectors)
    assert (tmp_path / "cache" / "templates.sqlite").stat().st_mode & 0o077 == 0
    assert digest(photographs, first.contents) == digest(photographs[::-1], first.contents[::-1])


def test_an_unreadable_picture_is_reported_and_a_busy_engine_is_asked_again(album: Path) -> None:
    (album / "Eve" / "Eve_0002.jpg").write_bytes(b"broken")

    class Busy(FakeEngine):
        refusals = 2

        async def analyse(self, *args: object, **options: object) -> PictureAnalysis:
            if self.refusals:
                self.refusals -= 1
                raise EngineBusy("later")
            return await super().analyse(*args, **options)  # type: ignore[arg-type]

    models = Busy(engine()._answers)
    enrolled = asyncio.run(enrol(read_directory(album), models, TemplateCache(None), lambda _: None))
    assert enrolled.unreadable == ["Eve/Eve_0002.jpg"]
    assert enrolled.found.sum() == 5


def test_a_report_is_a_table_json_two_plots_and_a_page_of_its_own(album: Path, tmp_path: Path) -> None:
    photographs = read_directory(album)
    enrolled = asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None))
    found = evaluate(photographs, enrolled)
    about = {"name": "an <album>", "identity": "fake"}
    assert found.without_face == ("Eve/Eve_0001.jpg",)
    assert as_json(found, about)["mated_pairs"] == 4
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "faces-found.svg").write_text("another command's")
    written = {path.name for path in write(found, about, tmp_path / "report")}
    assert written == {"evaluation.html", "evaluation.json", "det.svg", "det.png", "scores.svg", "scores.png"}
    page = (tmp_path / "report" / "evaluation.html").read_text()
    assert "an &lt;album&gt;" in page
    assert page.count("<svg") == 2
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_missed_matches_stand_beside_the_found_ones(album: Path, tmp_path: Path) -> None:
    """In table, JSON and page: FNMR is 1 - TMR, and its interval is turned round with it."""
    photographs = read_directory(album)
    found = evaluate(photographs, asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None)))
    row = RateRow(1e-4, 0.4197, Interval(0.41, 0.43), 0.9375, Interval(0.875, 1.0))
    found = dataclasses.replace(found, rows=(row, RateRow(1e-6, 0.5, None, None, None)))
    first, second = as_json(found, {})["rates"]
    assert (first["true_match_rate"], first["false_non_match_rate"]) == (0.9375, 0.0625)
    assert first["false_non_match_interval"] == {"low": 0.0, "high": 0.125}
    assert (second["false_non_match_rate"], second["false_non_match_interval"]) == (None, None)
    write(found, {}, tmp_path / "report")
    assert "<td>0.0625</td></tr>" in (tmp_path / "report" / "evaluation.html").read_text()
    sink = io.StringIO()
    Console(file=sink, width=80).print(terminal_table(found))
    assert all(words in sink.getvalue() for words in ("FNMR", "0.9375", "0.8750 … 1.0000", "0.0625"))


def test_times_stand_in_table_json_and_page_or_it_is_said_why_not(album: Path, tmp_path: Path) -> None:
    photographs = read_directory(album)
    enrolled = asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None))
    stages = (StageTime("detection", "face_detector", "frame", 1234, 4.5, 0.25),)
    times = StageTimes(40, enrolled.answered, stages)
    found = evaluate(photographs, enrolled, stage_times=times)
    assert json.loads(json.dumps(as_json(found, {})))["stage_times"] == {
        "pictures": 40,
        "own_pictures": 6,
        "stages": [
            {
                "stage": "detection",
                "model": "face_detector",
                "unit": "frame",
                "inferences": 1234,
                "compute_ms": 4.5,
                "queue_ms": 0.25,
            }
        ],
    }
    write(found, {}, tmp_path / "report")
    sink = io.StringIO()
    Console(file=sink, width=80).print(times_table(times))
    for text in ((tmp_path / "report" / "evaluation.html").read_text(), sink.getvalue()):
        assert all(words in text for words in ("detection", "1,234", "frame", "4.50 ms", "0.25 ms", "40 pictures"))
    assert "times" not in facts(found, {})

    unknown = evaluate(photographs, enrolled)
    assert as_json(unknown, {})["stage_times"] is None
    assert "no statistics" in facts(unknown, {})["times"]
    cached = dataclasses.replace(unknown, analysed=0)
    assert facts(cached, {})["times"] == "no picture was asked of Triton; times unknown"
    write(cached, {}, tmp_path / "report")
    page = (tmp_path / "report" / "evaluation.html").read_text()
    assert "no picture was asked of Triton" in page
    assert "Time inside Triton" not in page


def test_the_page_tells_who_was_left_out_and_why(album: Path, tmp_path: Path) -> None:
    photographs = read_directory(album, dropped={"Eve"})
    enrolled = asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None))
    found = evaluate(photographs, enrolled)
    about = {"dropped": {"Eve": "shows <Ada>"}, "photographs_per_person": 7}
    write(found, about, tmp_path / "report")
    page = (tmp_path / "report" / "evaluation.html").read_text()
    assert "<tr><td>Eve</td><td>shows &lt;Ada&gt;</td></tr>" in page
    assert "1 person" in facts(found, about)["left out"]
    assert facts(found, about)["photographs"] == "5 of 2 people, at most 7 of each"
    assert as_json(found, about)["dropped"] == about["dropped"]
    write(found, {"dropped": {}}, tmp_path / "report")
    assert "Left out" not in (tmp_path / "report" / "evaluation.html").read_text()
    assert "left out" not in facts(found, {"dropped": {}})


def test_a_list_of_people_to_leave_out_is_of_those_who_are_there(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report lists nobody who was not there to be left out; and a name in vain, perhaps misspelt, is told."""
    (album / "drop.json").write_text('{"Eve": "blurred", "Eva": "blurred, too"}')
    assert read_dropped(album / "drop.json", album) == {"Eve": "blurred"}
    assert "Eva" in capsys.readouterr().out
    assert read_dropped(None, album) == {}
    for broken in ("", "[]", "{"):
        (album / "drop.json").write_text(broken)
        with pytest.raises(CollectionInvalid, match="JSON object"):
            read_dropped(album / "drop.json", album)


def test_photographs_without_two_people_to_compare_are_refused(album: Path) -> None:
    """As a sentence: there may be photographs enough, but faces on one person's alone."""
    photographs = [photograph for photograph in read_directory(album) if photograph.identity != "Bob"]
    enrolled = asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None))
    with pytest.raises(CollectionInvalid, match="of 4 photographs 3 show a face"):
        found_only(photographs, enrolled)


def test_files_that_are_no_pictures_are_told_by_person_and_file(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first three, and where the others stand; where nothing else is left the refusal names one."""
    for name in ("Ada", "Bob"):
        for number in (7, 8):
            (album / name / f"{number}.jpg").write_text("a text")
    photographs = read_directory(album)
    enrolled = asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None))
    assert enrolled.unreadable == ["Ada/7.jpg", "Ada/8.jpg", "Bob/7.jpg", "Bob/8.jpg"]
    told = facts(evaluate(photographs, enrolled), {})["unreadable"]
    assert told == "4: Ada/7.jpg, Ada/8.jpg, Bob/7.jpg, …; evaluation.json names them all"
    tell_unreadable(enrolled)
    assert "unreadable: 4: Ada/7.jpg, Ada/8.jpg, Bob/7.jpg, …; `visavis evaluate`" in capsys.readouterr().out
    broken = [photograph for photograph in photographs if photograph.path.stem in {"7", "8"}]
    enrolled = asyncio.run(enrol(broken, engine(), TemplateCache(None), lambda _: None))
    with pytest.raises(CollectionInvalid, match=r"0 show a face: .*; 4 could not be read, such as Ada/7\.jpg"):
        found_only(broken, enrolled)


def test_pictures_that_lie_in_no_persons_folder_are_told(album: Path) -> None:
    with pytest.raises(CollectionInvalid, match="two people; the pictures lie directly in it"):
        read_directory(album / "Ada")


def test_what_a_folder_is_too_small_for_is_told(album: Path) -> None:
    """Instead of an equal error rate of zero under a table of dashes."""
    photographs = read_directory(album)
    found = evaluate(photographs, asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None)))
    assert found.equal_error_rate is None
    said = facts(found, {})["too small for"]
    assert "1e-01, 1e-02, 1e-03, 1e-04, 1e-05, 1e-06 (the last takes 10,000,000 non-mated pairs)" in said
    assert "an equal error rate (it takes 100 mated" in said


def test_where_nobody_has_two_photographs_nothing_is_said_about_matches(album: Path, tmp_path: Path) -> None:
    """A false match rate needs none; a true match rate of zero would be a lie."""
    photographs = [p for p in read_directory(album) if p.path.name.endswith("_0001.jpg") and p.identity != "Eve"]
    found = evaluate(photographs, asyncio.run(enrol(photographs, engine(), TemplateCache(None), lambda _: None)))
    assert {row.true_match_rate for row in found.rows} == {None}
    assert as_json(found, {})["equal_error_rate"] is None
    assert facts(found, {})["equal error rate"] == "–"
    write(found, {}, tmp_path / "report")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "operating_points.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["operating_points.json"]


def test_no_one_counts_with_more_photographs_than_allowed_and_they_are_spread_evenly(tmp_path: Path) -> None:
    many = [Photograph(tmp_path / f"{number}.jpg", "Ada") for number in range(100)]
    one = [Photograph(tmp_path / "b.jpg", "Bob")]
    kept = at_most_per_person(many + one, 4)
    assert [photograph.path.name for photograph in kept] == ["0.jpg", "25.jpg", "50.jpg", "75.jpg", "b.jpg"]
    assert at_most_per_person(many + one, 0) == many + one
