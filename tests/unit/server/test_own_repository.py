"""A command that names no model repository takes the checkout's, or else the data directory's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis_server.own_repository import default_repository, own_repository


def test_a_checkout_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the current folder, whatever the data directory holds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "model_repository").mkdir(parents=True)
    assert default_repository(tmp_path / "data") == own_repository(tmp_path / "data")
    (tmp_path / "model_repository").mkdir()
    assert default_repository(tmp_path / "data").resolve() == tmp_path / "model_repository"


def test_a_file_of_that_name_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_repository").touch()
    assert default_repository(tmp_path / "data") == tmp_path / "data" / "model_repository"
