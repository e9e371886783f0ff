"""Which perf_analyzer is taken, and what a sweep makes of one that breaks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from visavis_perf import perf_analyzer
from visavis_perf.perf_analyzer import PerfAnalyzerFailed, PerfAnalyzerMissing, find_perf_analyzer

_RUNS = "#!/bin/sh\necho Perf Analyzer Version 2.60.0\n"
_BROKEN = "#!/bin/sh\necho \"version 'GLIBC_2.38' not found\" >&2\nexit 1\n"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The three places that are looked at without a name, all empty."""
    found = {
        name: tmp_path / name / "perf_analyzer" for name in ("environment/bin", "on-the-path", "neighbour/shared/tools")
    }
    for program in found.values():
        program.parent.mkdir(parents=True)
    monkeypatch.delenv("PERF_ANALYZER", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'on-the-path'}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "environment/bin" / "python"))
    monkeypatch.setattr(perf_analyzer, "SHARED", tmp_path / "neighbour/shared")
    return found


def _put(program: Path, script: str) -> str:
    program.write_text(script)
    program.chmod(0o755)
    return str(program)


def test_the_environments_own_is_taken_though_it_is_not_on_the_path(places: dict[str, Path]) -> None:
    """Make leaves the search path as it is, and pip puts the program beside Python."""
    expected = [_put(program, _RUNS) for program in places.values()]
    for program in expected:
        assert find_perf_analyzer() == program
        Path(program).unlink()
    with pytest.raises(PerfAnalyzerMissing, match=r"pip install 'perf-analyzer>=2\.60'"):
        find_perf_analyzer()


def test_one_that_does_not_run_here_makes_room_for_the_next(places: dict[str, Path]) -> None:
    """The wheel's program on an older glibc; its last words are told where no other is there."""
    own, _, neighbour = places.values()
    _put(own, _BROKEN)
    with pytest.raises(PerfAnalyzerMissing, match=r"GLIBC_2\.38"):
        find_perf_analyzer()
    assert _put(neighbour, _RUNS) == find_perf_analyzer()


@pytest.mark.parametrize("script", [None, _BROKEN])
def test_a_named_one_that_does_not_run_is_told(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    """No other one is taken silently in its place, and the bench is not run without it."""
    for program in places.values():
        _put(program, _RUNS)
    named = tmp_path / "named"
    if script:
        _put(named, script)
    monkeypatch.setenv("PERF_ANALYZER", str(named))
    with pytest.raises(PerfAnalyzerFailed, match=f"PERF_ANALYZER names {named}") as told:
        find_perf_analyzer()
    assert not isinstance(told.value, PerfAnalyzerMissing)
