"""Pictures and input files: distinct, of the size they claim, in the form that perf_analyzer reads."""

from __future__ import annotations

import base64
import json
import struct
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from visavis_perf import pictures
from visavis_perf.inputs import bytes_tensor, ensemble_entry, face_crop, frame, uint8_tensor, write_entries
from visavis_perf.pictures import PICTURE_SETS, PicturesMissing


def _size(jpeg: bytes) -> tuple[int, int]:
    height, width = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height


@pytest.mark.parametrize("name", ["250", "0.3mp", "1mp"])
def test_portraits_stand_in_where_there_are_no_photographs(name: str) -> None:
    """Each is a JPEG of the set's size and different from the others."""
    kind = PICTURE_SETS[name]
    drawn = list(islice(pictures._from_portraits(kind, pictures._portraits()), 6))
    assert len(set(drawn)) == 6
    assert {_size(jpeg) for jpeg in drawn} == {(kind.width, kind.height)}


def test_a_face_is_composed_into_every_larger_picture(tmp_path: Path) -> None:
    """A directory of portraits gives the larger sets too, at their size, each different."""
    for number, portrait in enumerate(islice(pictures._from_portraits(PICTURE_SETS["250"], pictures._portraits()), 3)):
        (tmp_path / f"person_{number}").mkdir()
        (tmp_path / f"person_{number}" / "1.jpg").write_bytes(portrait)
    drawn = list(pictures._from_photographs(PICTURE_SETS["0.3mp"], tmp_path))
    assert len(set(drawn)) == 3
    assert {_size(jpeg) for jpeg in drawn} == {(640, 480)}


def test_different_people_come_first(tmp_path: Path) -> None:
    """The first pictures of a set are of as many people as there are."""
    for person, count in (("a", 3), ("b", 1), ("c", 2)):
        (tmp_path / person).mkdir()
        for number in range(count):
            (tmp_path / person / f"{number}.jpg").write_bytes(f"{person}{number}".encode())
    drawn = list(pictures._from_photographs(PICTURE_SETS["250"], tmp_path))
    assert drawn == [b"a0", b"b0", b"c0", b"a1", b"c1", b"a2"]


def test_an_empty_directory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to make pictures of is an error with the directory in it, and leaves no set that looks complete."""
    monkeypatch.setattr(pictures, "CACHE", tmp_path / "cache")
    (tmp_path / "none").mkdir()
    for _ in range(2):
        with pytest.raises(PicturesMissing, match="none"):
            pictures.pictures("250", tmp_path / "none")


def test_a_bytes_element_has_its_length_before_it() -> None:
    """Four bytes, little-endian, then the picture."""
    content = base64.b64decode(bytes_tensor(b"\xff\xd8picture")["content"]["b64"])
    assert struct.unpack("<I", content[:4]) == (9,)
    assert content[4:] == b"\xff\xd8picture"


def test_input_files_hold_one_entry_for_each_request(tmp_path: Path) -> None:
    """perf_analyzer walks through `data`, entry by entry."""
    path = tmp_path / "deep" / "inputs.json"
    write_entries(path, [ensemble_entry(b"one"), ensemble_entry(b"two", max_faces=32)])
    entries = json.loads(path.read_text())["data"]
    assert [entry["max_faces"]["content"] for entry in entries] == [[1], [32]]
    assert entries[0]["region"] == {"content": [0, 0, 0, 0], "shape": [4]}
    assert list(path.parent.iterdir()) == [path]


def test_frames_have_the_graphs_shapes() -> None:
    """A picture fitted into the frame keeps its proportions; the crop is its middle."""
    portrait = next(pictures._from_portraits(PICTURE_SETS["0.3mp"], pictures._portraits()))
    framed = frame(portrait, 640)
    assert framed.shape == (640, 640, 3)
    assert framed[:480].any()
    assert not framed[480:].any()
    assert face_crop(portrait).shape == (112, 112, 3)
    assert uint8_tensor(framed)["shape"] == [640, 640, 3]
    assert len(base64.b64decode(uint8_tensor(framed)["content"]["b64"])) == framed.nbytes
