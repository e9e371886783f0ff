"""The launcher's own counts reach the workers' numbers."""

from __future__ import annotations

from pathlib import Path

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
