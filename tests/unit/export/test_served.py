"""Measurements run the modules of the repository that they measure, and of no other place."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from visavis_export.configurations import PROJECTS
from visavis_export.errors import ExportError
from visavis_export.repository import Repository
from visavis_export.served import served_module


def repository_with(root: Path, name: str, text: str) -> Repository:
    place = root / "face_aligner" / "1" / f"{name}.py"
    place.parent.mkdir(parents=True)
    place.write_text(text, "utf-8")
    return Repository(root)


def test_a_repository_still_to_be_filled_will_have_the_projects(tmp_path: Path) -> None:
    module = served_module(Repository(tmp_path), "face_aligner", "faces")
    assert Path(module.__file__) == PROJECTS / "face_aligner" / "1" / "faces.py"


def test_each_repository_has_its_own(tmp_path: Path) -> None:
    """A repository's module is neither the project's, nor another repository's, nor whatever has its name."""
    one = repository_with(tmp_path / "one", "alignment", "SIZE = 1")
    two = repository_with(tmp_path / "two", "alignment", "SIZE = 2")
    assert [served_module(own, "face_aligner", "alignment").SIZE for own in (one, two)] == [1, 2]


def test_another_module_of_the_same_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alignment.py").write_text("raise RuntimeError", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("faces", "posture"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert served_module(Repository(PROJECTS), "face_aligner", "faces").SIZE == 112


def test_what_neither_has_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"has no face_aligner/1/nothing\.py: copy the project's model_repository there"
    ):
        served_module(Repository(tmp_path), "face_aligner", "nothing")


def test_what_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    repository = repository_with(tmp_path, "alignment", "import a_library_that_is_not_there")
    with pytest.raises(
        ExportError, match=r"alignment\.py cannot be loaded: No module named 'a_library_that_is_not_there'"
    ):
        served_module(repository, "face_aligner", "alignment")
