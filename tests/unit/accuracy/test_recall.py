"""A face counts as found where a box lies on it, and a detector is called worse only beyond chance."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_networks import embedder
from PIL import Image
from rich.console import Console

from visavis_accuracy.photographs import CollectionInvalid, Photograph, sample
from visavis_accuracy.proportions import p_value_of_shortfall, wilson
from visavis_accuracy.recall import NoReference, Recall, Row, covers, measure_recall
from visavis_accuracy.recall_command import Only
from visavis_accuracy.recall_report import (
    close_ups_sentence,
    recall_document,
    recall_figure,
    recall_tables,
    write_recall,
)
from visavis_accuracy.reference import OpenCvDetector
from visavis_accuracy.scenes import CASES, Case, Kind, Scene, make_scene
from visavis_client.errors import PictureUnreadable
from visavis_client.faces import BoundingBox, Face, ModelIdentity, PictureAnalysis
from visavis_client.fakes import FAKE_MODEL, fake_analysis, fake_face

FACE = BoundingBox(60, 50, 80, 100)
SMALL, CLOSE = Case(Kind.SIZE, 32), Case(Kind.CLOSE_UP, 100)


def scene(face: BoundingBox, side: int = 100) -> Scene:
    return Scene(b"", face, side, side)


def shifted(by: float) -> BoundingBox:
    return BoundingBox(20 + by, 20, 50, 50)


def test_a_box_on_the_face_counts_from_four_tenths_of_the_union() -> None:
    """A shift by 21.4 of 50 pixels is where intersection over union passes 0.4."""
    assert covers([shifted(0)], scene(shifted(0)))
    assert covers([shifted(60), shifted(21)], scene(shifted(0)))
    assert not covers([shifted(22)], scene(shifted(0)))
    assert not covers([], scene(shifted(0)))


def test_what_lies_outside_the_picture_counts_on_neither_side() -> None:
    """The face of a close-up is larger than the picture; a detector may answer with what it sees or with the whole."""
    close_up = scene(BoundingBox(-100, -100, 300, 300))
    assert covers([BoundingBox(0, 0, 100, 100)], close_up)
    assert covers([BoundingBox(-100, -100, 300, 300)], close_up)
    assert not covers([BoundingBox(-300, -300, 100, 100)], close_up)


@given(st.integers(1, 500).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilsons_interval_holds_the_share_and_stays_a_share(counts: tuple[int, int]) -> None:
    """It has a width even where all or none are found."""
    found, trials = counts
    interval = wilson(found, trials)
    assert 0 <= interval.low <= found / trials + 1e-12
    assert found / trials - 1e-12 <= interval.high <= 1
    assert interval.high - interval.low > 0


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20."""
    for found, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        interval = wilson(found, trials)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    with pytest.raises(ValueError, match="no share"):
        wilson(0, 0)


def test_a_shortfall_is_judged_by_the_pictures_that_only_one_of_two_finds() -> None:
    """Of 5 such pictures all theirs: one chance in 32; as many either way, or none at all: no shortfall."""
    both = [True] * 50 + [False] * 3
    assert p_value_of_shortfall([False] * 5 + both, [True] * 5 + both) == pytest.approx(1 / 32)
    assert p_value_of_shortfall([True, False], [False, True]) > 0.5
    assert p_value_of_shortfall(both, both) == 1
    assert p_value_of_shortfall([True] * 5, [False] * 5) == 1


def row(case: Case, ours: int, theirs: int, of: int = 100) -> Row:
    def found(count: int) -> tuple[bool, ...]:
        return (True,) * count + (False,) * (of - count)

    return Row(case, found(ours), {320: found(theirs // 2), 640: found(theirs)})


def test_too_few_close_ups_and_sizes_that_fall_short_are_complained_about() -> None:
    """Each in a sentence with its counts; what is too small, or short by chance, is not."""
    good = Recall((row(SMALL, 97, 98), row(CLOSE, 99, 100), row(Case(Kind.SIZE, 20), 0, 90)), (), ())
    assert good.complaints == []
    bad = Recall((row(SMALL, 80, 98), row(CLOSE, 98, 100)), (), ())
    size, close_ups = bad.complaints
    assert "32 px: 80 found, 98 by the reference at 640 px" in size
    assert "98.00% found, not 99%" in close_ups


class SeeingEngine:
    """Finds the one face that the album's photographs are known to have, and in scenes those it is told of."""

    model = ModelIdentity(FAKE_MODEL)

    def __init__(self, known: dict[bytes, Face | None]) -> None:
        self._known = known
        self.embedded = 0

    async def analyse(
        self, image: bytes, *, max_faces: int = 1, region: BoundingBox | None = None, timeout_s: float | None = None
    ) -> PictureAnalysis:
        self.embedded += max_faces
        if image not in self._known:
            raise PictureUnreadable("a picture that nobody told of")
        face = self._known[image]
        return fake_analysis(face) if face else fake_analysis()

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        pass


class SeeingReference:
    """Finds at one of its scales what the scenes are known to show."""

    sizes: Sequence[int] = (320, 640)

    def __init__(self, known: dict[bytes, BoundingBox]) -> None:
        self._known = known

    def find(self, image: bytes) -> dict[int, list[BoundingBox]]:
        return {320: [], 640: [self._known[image]]}


def as_face(box: BoundingBox) -> Face:
    return fake_face(left=box.left, top=box.top, width=box.width, height=box.height)


@pytest.fixture
def album(tmp_path: Path) -> list[Photograph]:
    """Three photographs of noise, one without a face, and a file that is no picture."""
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (200, 200, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    return [Photograph(tmp_path / f"{number}.png", "somebody") for number in range(5)]


def measure(album: list[Photograph], cases: Sequence[Case], found: float) -> tuple[Recall, SeeingEngine, list[int]]:
    """The engine finds the faces of that share of the scenes; the reference finds all of them at 640 px."""
    photographs = {photograph.path.read_bytes(): as_face(FACE) for photograph in album[:3]}
    scenes = [
        make_scene(Image.open(album[place].path), FACE, case, np.random.default_rng([7, place, CASES.index(case)]))
        for place in range(3)
        for case in cases
    ]
    known: dict[bytes, Face | None] = {album[3].path.read_bytes(): None, **photographs}
    known |= {each.image: as_face(each.face) if n < found * len(scenes) else None for n, each in enumerate(scenes)}
    engine, told = SeeingEngine(known), []
    reference = SeeingReference({each.image: each.face for each in scenes})
    recall = asyncio.run(measure_recall(album, engine, reference, told.append, seed=7, cases=cases))
    return recall, engine, told


def test_every_case_of_every_photograph_is_tried_on_both(album: list[Photograph]) -> None:
    """Photographs without a face and files that are no picture are named and left out; nothing is embedded."""
    recall, engine, told = measure(album, (SMALL, CLOSE), found=1)
    assert recall.photographs == 3
    assert (recall.without_face, recall.unreadable) == (("3.png",), ("4.png",))
    assert [sum(each.ours) for each in recall.rows] == [3, 3]
    assert [(each.best_size, sum(each.theirs[640]), sum(each.theirs[320])) for each in recall.rows] == [(640, 3, 0)] * 2
    assert recall.complaints == []
    assert engine.embedded == 0
    assert sorted(told) == [1, 2, 3, 4, 5]


def test_faces_that_are_not_found_are_not_counted(album: list[Photograph]) -> None:
    """Of two scenes of each of three photographs the first four are found."""
    recall, _, _ = measure(album, (SMALL, CLOSE), found=4 / 6)
    assert [list(each.ours) for each in recall.rows] == [[True, True, False]] * 2
    assert recall.close_ups_found == pytest.approx(2 / 3)
    assert len(recall.complaints) == 1


def test_a_scene_that_the_engine_refuses_is_a_face_that_is_not_found(album: list[Photograph]) -> None:
    """The photograph is not left out, as if it could not be read."""
    known: dict[bytes, Face | None] = {album[0].path.read_bytes(): as_face(FACE)}

    class Everywhere:
        sizes = (640,)

        def find(self, image: bytes) -> dict[int, list[BoundingBox]]:
            return {640: []}

    recall = asyncio.run(measure_recall(album[:1], SeeingEngine(known), Everywhere(), lambda _: None, cases=(SMALL,)))
    assert (recall.photographs, recall.unreadable, recall.rows[0].ours) == (1, (), (False,))


def test_a_report_is_tables_json_and_a_plot(tmp_path: Path) -> None:
    """All three show every scene; counts come with intervals."""
    recall = Recall(tuple(row(case, 90, 95) for case in CASES), ("a.jpg",), ())
    written = write_recall(recall, {"data": "made up"}, tmp_path / "recall")
    assert [path.name for path in written] == ["recall.json", "recall.svg", "recall.png"]
    assert all(path.stat().st_size for path in written)
    figures = json.loads(written[0].read_text())
    assert figures["data"] == "made up"
    assert len(figures["scenes"]) == len(CASES)
    assert figures["scenes"][0]["found"]["count"] == 90
    assert figures["scenes"][0]["reference"]["640"]["of"] == 100
    assert (figures["close_ups"]["count"], figures["close_ups"]["of"]) == (630, 700)
    assert figures["close_ups"]["interval"] == pytest.approx([0.8756, 0.9201], abs=1e-4)
    assert close_ups_sentence(recall) == "close-ups: 630 of 700 found, 90.0% (87.6–92.0); at least 99% are demanded"
    assert figures["complaints"] == recall_document(recall, {})["complaints"] == recall.complaints
    sink = io.StringIO()
    Console(file=sink, width=80).print(*recall_tables(recall))
    assert sink.getvalue().count("90.0% (82.6–94.5)") == len(CASES)


def test_kinds_of_scenes_that_were_not_asked_for_are_not_shown_and_not_complained_about(tmp_path: Path) -> None:
    """Sizes alone, say: no close-up was missed."""
    recall = Recall(tuple(row(case, 100, 100) for case in CASES if case.kind is Kind.SIZE), (), ())
    assert recall.close_ups_found is None
    assert recall.complaints == []
    assert [table.title for table in recall_tables(recall)] == [str(Kind.SIZE)]
    figures = json.loads(write_recall(recall, {}, tmp_path / "recall")[0].read_text())
    assert figures["close_ups_found"] is figures["close_ups"] is None
    assert close_ups_sentence(recall) is None
    assert [axes.get_xlabel() for axes in recall_figure(recall).axes] == [str(Kind.SIZE)]
    turned = Recall(tuple(row(case, 100, 100) for case in CASES if case.kind is Kind.EXIF), (), ())
    assert recall_figure(turned).axes == []


def test_every_kind_of_scene_can_be_asked_for_alone() -> None:
    assert [each.name for each in Only] == [kind.name for kind in Kind]


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    """In the order of the whole; all where there are no more."""
    whole = [Photograph(Path(f"{number}.jpg"), "somebody") for number in range(50)]
    some = sample(whole, 10, seed=3)
    assert some == sample(whole, 10, seed=3) != sample(whole, 10, seed=4)
    assert [whole.index(each) for each in some] == sorted({whole.index(each) for each in some})
    assert sample(whole, None) == sample(whole, 50) == whole


def test_without_a_reference_its_columns_are_left_out(album: list[Photograph], tmp_path: Path) -> None:
    """Nothing is short of what nobody measured; close-ups are still demanded."""
    known: dict[bytes, Face | None] = {album[0].path.read_bytes(): as_face(FACE)}
    engine = SeeingEngine(known)
    recall = asyncio.run(measure_recall(album[:1], engine, NoReference(), lambda _: None, cases=(SMALL, CLOSE)))
    assert recall.complaints == ["close-ups: 0.00% found, not 99%"]
    sink = io.StringIO()
    Console(file=sink, width=80).print(*recall_tables(recall))
    assert "OpenCV" not in sink.getvalue()
    assert sink.getvalue().count("0.0% (0.0–79.3)") == 2
    for scene in json.loads(write_recall(recall, {}, tmp_path / "recall")[0].read_text())["scenes"]:
        assert (scene["reference"], scene["best_size"], scene["p_value_of_shortfall"]) == ({}, None, None)


@pytest.mark.parametrize("data", [b"no graph", embedder(16)], ids=["no network", "another network"])
def test_a_file_that_is_no_yunet_is_refused_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], data: bytes
) -> None:
    """Whatever OpenCV says about it, at once or with the first picture, stays its own."""
    model = tmp_path / "model.onnx"
    model.write_bytes(data)
    with pytest.raises(CollectionInvalid, match="is no YuNet that OpenCV can read: its detector wants") as refusal:
        OpenCvDetector(model, (640,), 0.9)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(CollectionInvalid, match=r"absent\.onnx is no file"):
        OpenCvDetector(tmp_path / "absent.onnx", (640,), 0.9)
