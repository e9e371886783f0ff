"""The launcher's own counts reach the workers' numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from visavis_proxy.restarts import read_restarts
from visavis_server.counting import Counting


def environment(folder: Path) -> dict[str, str]:
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}


def test_what_was_never_started_again_is_counted_as_none(tmp_path: Path) -> None:
    """An alert on a growing count needs the nought before it; somebody else's Triton is not the launcher's to count."""
    Counting(environment(tmp_path), embedded=True)
    assert read_restarts(tmp_path) == {"triton": 0, "worker": 0}
    Counting(environment(tmp_path), embedded=False)
    assert read_restarts(tmp_path) == {"worker": 0}


def test_every_restart_is_counted(tmp_path: Path) -> None:
    counting = Counting(environment(tmp_path), embedded=True)
    for process in ("triton", "worker", "worker"):
        counting.started_again(process)
    assert read_restarts(tmp_path) == {"triton": 1, "worker": 2}


def test_a_dead_workers_levels_go_and_its_counts_stay(tmp_path: Path) -> None:
    for name in ("gauge_livesum_7.db", "gauge_livesum_8.db", "counter_7.db"):
        (tmp_path / name).touch()
    Counting(environment(tmp_path), embedded=True).ended(7)
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["counter_7.db", "gauge_livesum_8.db"]


def test_without_a_folder_nothing_is_counted_and_nothing_breaks(tmp_path: Path) -> None:
    counting = Counting({}, embedded=True)
    counting.started_again("worker")
    counting.ended(7)
    assert read_restarts(tmp_path) == {}
    (tmp_path / "restarts.json").write_text("{")
    assert read_restarts(tmp_path) == {}


def test_a_folder_that_is_gone_stops_nothing_and_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Systems tidy up in memory; what was counted until then is there again."""
    folder = tmp_path / "numbers"
    folder.mkdir()
    counting = Counting(environment(folder), embedded=True)
    shutil.rmtree(folder)
    counting.ended(7)
    counting.started_again("worker")
    assert "the numbers in memory cannot be kept up" in caplog.text
    counting.make_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert read_restarts(folder) == {"triton": 0, "worker": 1}
    counting.make_folder()


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counting = Counting(environment(tmp_path / "nowhere" / "numbers"), embedded=True)
    caplog.clear()
    counting.make_folder()
    assert "the numbers in memory cannot be kept up" in caplog.text


def test_a_file_that_cannot_be_taken_away_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counting = Counting(environment(tmp_path), embedded=True)
    (tmp_path / "gauge_livesum_7.db").mkdir()
    counting.ended(7)
    assert "the numbers in memory cannot be kept up" in caplog.text
