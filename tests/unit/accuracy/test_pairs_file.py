"""A list of pairs is read as LFW has it, and one that is drawn has folds that share nobody."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from visavis_accuracy.files import PlaceUnusable
from visavis_accuracy.main import app
from visavis_accuracy.pairs_file import draw_folds, numbered, pairs_text, read_pairs
from visavis_accuracy.photographs import CollectionInvalid, read_directory

#: Of ten people each: so many photographs.
COUNTS = (1, 2, 3, 8)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    root = tmp_path / "album"
    for count, person in itertools.product(COUNTS, range(10)):
        name = f"Person {person} of {count}"
        (root / name).mkdir(parents=True)
        for number in range(1, count + 1):
            (root / name / f"{name}_{number:04d}{'.png' if person == 3 else '.jpg'}").write_bytes(b"a photograph")
    return root


def draw(album: Path, *, folds: int = 5, per_kind: int = 20, seed: int = 0) -> str:
    return pairs_text(draw_folds(numbered(read_directory(album)), folds=folds, per_kind=per_kind, seed=seed))


def test_a_pairs_file_has_folds_of_mated_and_non_mated_pairs(tmp_path: Path) -> None:
    """Names, numbers and folds as LFW's own file has them, tabs or spaces between."""
    for name, number in (("Ada", 1), ("Ada", 2), ("Ada", 3), ("Bob", 1), ("Bob", 2)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{name}_{number:04d}.jpg").write_bytes(b"")
    file = tmp_path / "pairs.txt"
    for separator in ("\t", " "):
        file.write_text("2 1\nAda 1 2\nAda 1 Bob 2\nBob 1 2\nBob 1 Ada 3\n".replace(" ", separator))
        photographs, pairs = read_pairs(file, tmp_path)
        assert [(pair.mated, pair.fold) for pair in pairs] == [(True, 0), (False, 0), (True, 1), (False, 1)]
        assert photographs[pairs[3].reference].path.name == "Ada_0003.jpg"
        assert photographs[pairs[3].reference].identity == "Ada"
    file.write_text("2\nAda 1 2\nBob 1 2\nAda 1 Bob 2\nBob 1 Ada 3\n")
    assert {pair.fold for pair in read_pairs(file, tmp_path)[1]} == {0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2\t1\n",
        "ten\t1\nAda\t1\t2\n",
        "1\t1\nAda\tx\ty\nAda\t1\tBob\t1\n",
        "1\t1\nAda\t1\t2\nAda\t1\tNobody\t1\n",
        "1\t1\nAda\t1\nAda\t1\tBob\t1\n",
        "2\t1\nAda\t1\t2\nAda\t1\tBob\t1\nBob\t1\t2\n",
        "0\t0\n",
        "-1\t-1\nAda\t1\t2\nAda\t1\tBob\t1\n",
    ],
    ids=["empty", "header alone", "no header", "no numbers", "no photograph", "a word", "cut off", "none", "negative"],
)
def test_a_file_that_is_none_or_not_whole_is_refused(tmp_path: Path, text: str) -> None:
    for name in ("Ada", "Bob"):
        (tmp_path / name).mkdir()
        for number in (1, 2):
            (tmp_path / name / f"{name}_{number:04d}.jpg").write_bytes(b"")
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(CollectionInvalid):
        read_pairs(tmp_path / "pairs.txt", tmp_path)


def test_drawn_folds_share_nobody_and_no_pair_comes_twice(album: Path, tmp_path: Path) -> None:
    """And what is written is read again as it was meant: spaces in names, other formats than JPEG."""
    file = tmp_path / "pairs.txt"
    file.write_text(draw(album))
    assert file.read_text().startswith("5\t20\n")
    photographs, pairs = read_pairs(file, album)
    assert len(pairs) == 5 * 2 * 20
    who = [{photographs[place].identity for place in (pair.probe, pair.reference)} for pair in pairs]
    assert all((len(names) == 1) is pair.mated for pair, names in zip(pairs, who, strict=True))
    of_fold = [set().union(*(n for p, n in zip(pairs, who, strict=True) if p.fold == fold)) for fold in range(5)]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(of_fold, 2))
    assert len({frozenset((pair.probe, pair.reference)) for pair in pairs}) == len(pairs)
    assert all(pair.probe != pair.reference for pair in pairs)
    assert any(photograph.path.suffix == ".png" for photograph in photographs)


def test_a_person_is_chosen_before_the_photographs(album: Path) -> None:
    """Else whoever has eight photographs would be in 28 times as many mated pairs as who has two."""
    folds = draw_folds(numbered(read_directory(album)), folds=2, per_kind=12, seed=1)
    of_eight = [name.endswith("of 8") for fold in folds for name, _, _ in fold.mated]
    assert 0.2 < sum(of_eight) / len(of_eight) < 0.8


def test_every_pair_of_a_person_can_be_drawn(album: Path) -> None:
    """In each of ten folds three people with 1, 3 and 28 pairs: whoever has most is dealt out first."""
    folds = draw_folds(numbered(read_directory(album)), folds=10, per_kind=32, seed=0)
    for fold in folds:
        (eight,) = {name for name, _, _ in fold.mated if name.endswith("of 8")}
        theirs = {(one, other) for name, one, other in fold.mated if name == eight}
        assert theirs == set(itertools.combinations(range(1, 9), 2))


def test_the_same_seed_draws_the_same_list(album: Path) -> None:
    assert draw(album, seed=3) == draw(album, seed=3) != draw(album, seed=4)


def test_photographs_that_no_line_can_name_are_not_drawn(album: Path) -> None:
    """Another name, too few digits, or a second file of one number."""
    folder = album / "Person 0 of 2"
    for other in ("holiday.jpg", "Person 0 of 2_3.jpg", "Person 0 of 2_0001.png", "Person 1 of 2_0003.jpg"):
        (folder / other).write_bytes(b"")
    assert numbered(read_directory(album))["Person 0 of 2"] == [1, 2]


def pairs(*arguments: str | Path) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, ["pairs", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split()), done.exception


def test_the_command_writes_the_list_and_leaves_out_who_is_dropped(album: Path, tmp_path: Path) -> None:
    (tmp_path / "drop.json").write_text(json.dumps({"Person 0 of 8": "somebody else", "Nobody": "not here"}))
    out = tmp_path / "pairs.txt"
    status, said, _ = pairs(album, "--folds", "4", "--pairs", "10", "--drop", tmp_path / "drop.json", "--out", out)
    assert status == 0
    assert "4 folds of 10 mated and 10 non-mated pairs" in said
    assert "Nobody" in said
    assert len(read_pairs(out, album)[1]) == 80
    assert "Person 0 of 8" not in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pairs", "33", "--folds", "10"), "33 different mated pairs"),
        (("--folds", "50"), "different non-mated pairs"),
        (("--out", "/dev/null/pairs.txt", "--folds", "2", "--pairs", "2"), "cannot be written"),
    ],
)
def test_what_cannot_be_drawn_or_written_is_refused(album: Path, arguments: tuple[str, ...], words: str) -> None:
    _, _, fault = pairs(album, "--out", album / "pairs.txt", *arguments)
    assert isinstance(fault, CollectionInvalid | PlaceUnusable)
    assert words in str(fault)
    assert not (album / "pairs.txt").exists()


@pytest.mark.parametrize(("folds", "seed"), [("10", "0"), ("3", "1"), ("8", "2")])
def test_a_small_folder_is_told_how_many_pairs_it_has(album: Path, folds: str, seed: str) -> None:
    """The number that is named works, with the same folds and seed; LFW's own 300 do not."""
    given: list[str | Path] = [album, "--out", album / "pairs.txt", "--folds", folds, "--seed", seed]
    fault = pairs(*given)[2]
    assert isinstance(fault, CollectionInvalid)
    found = re.search(r"no 300 different mated pairs .*: --pairs (\d+) works$", str(fault))
    assert found
    assert pairs(*given, "--pairs", found[1])[0] == 0


def test_folds_without_a_pair_are_not_told_a_number(album: Path) -> None:
    with pytest.raises(CollectionInvalid, match="but 0: take fewer folds, or more people with two photographs or more"):
        draw(album, folds=40, per_kind=1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"pairs.txt cannot be read: No such file or directory$"),
        (b"", r"pairs.txt is not a pairs file in LFW's form: it is empty$"),
        (
            b"# Vis-a-vis\n\nFace comparison\n",
            "it does not begin with how many folds and how many pairs of either kind",
        ),
        (b'{\n  "models": {}\n}\n', "it does not begin with how many folds"),
        (b"\xff\xd8\xff\xe0", "it is no text in UTF-8$"),
        (b"3\t20\n" + b"Ada\t1\t2\n" * 34, r"it has 34 pairs \(cut off\?\), 120 expected: twice 20 in 3 folds$"),
        (b"1\t1\n" + b"Ada\t1\t2\n" * 3, "it has 3 pairs, 2 expected: twice 1 in 1 folds$"),
        (b"1\t1\n\nAda\t1\t2\nAda\tone\tBob\t2\n", "line 4 is neither NAME 1 2 nor NAME 1 OTHER 2$"),
    ],
    ids=["absent", "empty", "a text", "JSON", "a picture", "cut off", "too many", "a word"],
)
def test_what_is_wrong_with_a_pairs_file_is_said_in_its_own_words(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    """No Python, and a place where there is one."""
    (tmp_path / "Ada").mkdir()
    for number in (1, 2):
        (tmp_path / "Ada" / f"Ada_{number:04d}.jpg").write_bytes(b"")
    if content is not None:
        (tmp_path / "pairs.txt").write_bytes(content)
    with pytest.raises(CollectionInvalid, match=sentence):
        read_pairs(tmp_path / "pairs.txt", tmp_path)


def test_two_people_without_a_third_have_no_two_folds(tmp_path: Path) -> None:
    """Non-mated pairs need two people in each."""
    for name in ("Ada", "Bob"):
        (tmp_path / name).mkdir()
        for number in (1, 2):
            (tmp_path / name / f"{name}_{number:04d}.jpg").write_bytes(b"")
    with pytest.raises(CollectionInvalid, match="non-mated"):
        draw(tmp_path, folds=2, per_kind=1)
