"""``visavis bench check`` on made-up results: what is compared with what, and how it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from visavis_perf import bench, main, results
from visavis_perf.main import Undecided, app
from visavis_perf.perf_analyzer import PerfAnalyzerFailed
from visavis_perf.plan import Plan
from visavis_perf.results import NoResults, PlaceUnusable
from visavis_perf.service import ServiceFailed

_MACHINE = {"processor": "p", "cores": 2, "units": ["avx2"], "memory_gib": 8, "gpu": []}


def _record(share: float, *, spread: float = 0.02, made: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    best = {"share": share, "spread": spread, "steady": True, "serves": True}
    http = {"facepp-250": {"best": best}, "aliyun-250": {"best": {**best, "share": 0.7}}}
    run = {"made": made, "revision": "abc", "quick": False, "whole": True, "elapsed_s": 1, "targets": []}
    return {**run, "machine": _MACHINE, "versions": {}, "limits": {}, "http": http, **more}


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(("git", *identity, *arguments), cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results inside a repository of git's with one commit."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "perf" / "results"
    folder.mkdir(parents=True)
    _git(tmp_path, "init")
    (tmp_path / "README").touch()
    _git(tmp_path, "add", "README")
    _git(tmp_path, "commit", "-m", "begin")
    return folder


def _commit(folder: Path, record: dict[str, Any]) -> Path:
    path = results.write(record, folder)
    _git(folder, "add", path.name)
    _git(folder, "commit", "-m", "results")
    return path


def _check(tmp_path: Path, old: dict[str, Any], new: dict[str, Any]) -> tuple[int, str]:
    ended = CliRunner().invoke(app, _arguments(tmp_path, old, new))
    return ended.exit_code, ended.output


def _arguments(tmp_path: Path, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, now = results.write(old, tmp_path / "old"), results.write(new, tmp_path / "new")
    return ["check", "--old", str(before), "--new", str(now)]


def test_equal_results_pass(tmp_path: Path) -> None:
    """The same shares, and nothing in the table is worse."""
    code, said = _check(tmp_path, _record(0.8), _record(0.8))
    assert (code, "worse" in said) == (0, False)
    assert "facepp-250" in said


def test_a_regression_fails_and_stands_above(tmp_path: Path) -> None:
    """A tenth less, of runs that lie close together."""
    code, said = _check(tmp_path, _record(0.8), _record(0.72))
    assert (code, said.count("│ worse")) == (1, 1)
    assert said.index("facepp-250") < said.index("aliyun-250")


def test_what_a_file_alone_shows_is_told_to_mislead(tmp_path: Path) -> None:
    """Nothing is measured for `--new`, so what measures again is named, with what is compared with."""
    arguments = _arguments(tmp_path, _record(0.8), _record(0.72))
    said = " ".join(CliRunner().invoke(app, arguments).output.split())
    assert "One bench alone may mislead" in said
    # The terminal may break a long path.
    assert f"visavisbenchcheck--old{tmp_path}/old" in said.replace(" ", "")
    assert "may mislead" not in _check(tmp_path, _record(0.8), _record(0.8))[1]


@pytest.mark.parametrize("noisy", ["old", "new"])
def test_either_results_own_spread_excuses_a_loss(tmp_path: Path, noisy: str) -> None:
    """A tenth less, where the runs of one of the two lie twice as far apart."""
    old, new = _record(0.8, spread=0.17 * (noisy == "old")), _record(0.72, spread=0.17 * (noisy == "new"))
    assert _check(tmp_path, old, new)[0] == 0


def test_an_unsteady_figure_is_told_and_does_not_fail(tmp_path: Path) -> None:
    """The machine moved: that is no regression, and no success."""
    new = deepcopy(_record(0.4))
    new["http"]["facepp-250"]["best"]["steady"] = False
    code, said = _check(tmp_path, _record(0.8), new)
    assert (code, "unsteady" in said) == (0, True)


def test_where_most_is_unsteady_nothing_is_decided(tmp_path: Path) -> None:
    """Neither a success nor a regression: a status of its own, and what to do."""
    new = deepcopy(_record(0.8))
    for curve in new["http"].values():
        curve["best"]["steady"] = False
    with pytest.raises(Undecided, match="measure again"):
        CliRunner().invoke(app, _arguments(tmp_path, _record(0.8), new), catch_exceptions=False)


@pytest.mark.parametrize("text", ["{}", '{"limits": {}}', "[]", "no JSON"])
def test_a_file_that_is_no_result_is_told(tmp_path: Path, text: str) -> None:
    """By its name, and not by a traceback."""
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(NoResults, match=r"x\.json"):
        CliRunner().invoke(app, ["report", str(path)], catch_exceptions=False)


def test_a_folder_that_takes_no_results_is_told_before_the_work(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "results").touch()
    with pytest.raises(PlaceUnusable, match="results"):
        results.check_writable(tmp_path / "results")


def test_results_without_a_common_ratio_are_told(tmp_path: Path) -> None:
    """A check that compares nothing must not pass."""
    ended = _check(tmp_path, _record(0.8), _record(0.8, http={}))
    assert ended[0] != 0


def test_the_committed_file_counts_and_not_the_working_trees(repository: Path) -> None:
    """A bench of the same day writes over the committed file."""
    path = _commit(repository, _record(0.8))
    results.write(_record(0.5), repository)
    results.write(_record(0.4, made="2026-02-01T00:00:00Z"), repository)
    name, found = results.committed(_MACHINE, repository)
    assert name == path.name == "2026-01-01-2core-avx2.json"
    assert found["http"]["facepp-250"]["best"]["share"] == 0.8


def test_only_machines_of_the_same_class_are_compared(repository: Path) -> None:
    """Shares of another machine's limit, even newer ones, say nothing about this one; nor does a partial run."""
    _commit(repository, _record(0.8))
    card = {**_MACHINE, "cores": 16, "gpu": ["NVIDIA H200, 143771 MiB, 570"], "device": "gpu"}
    _commit(repository, _record(0.6, made="2026-03-01T00:00:00Z", machine=card))
    _commit(repository, _record(0.5, made="2026-03-01T00:00:00Z", whole=False))
    assert results.committed(_MACHINE, repository)[0] == "2026-01-01-2core-avx2.json"
    assert results.committed(card, repository)[0] == "2026-03-01-16core-nvidia-h200.json"
    idle_card = {**card, "device": "cpu"}
    for other in ({**_MACHINE, "cores": 64}, idle_card):
        told = f"{other['cores']}core-avx2 machine.*--old {repository}/2026-03-01-16core-nvidia-h200.json"
        with pytest.raises(NoResults, match=told):
            results.committed(other, repository)


def test_another_machines_results_are_compared_where_they_are_named(tmp_path: Path) -> None:
    """Ratios are no times: what is a tenth less there is a loss here."""
    machine = {**_MACHINE, "cores": 64, "units": ["avx512f"]}
    assert _check(tmp_path, _record(0.8), _record(0.8, machine=machine))[0] == 0
    assert _check(tmp_path, _record(0.8), _record(0.6, machine=machine))[0] == 1


def _with_ensemble(best: dict[str, Any] | None, *faults: str) -> dict[str, Any]:
    return _record(0.8, scenarios={"ensemble": {"best": best, "faults": list(faults)}})


def test_an_ensemble_that_no_run_gets_an_answer_of_is_worse(tmp_path: Path) -> None:
    """perf_analyzer then writes no figures: a share of 0, and not one that is missing."""
    best = {"share": 0.85, "spread": 0.02, "steady": True}
    code, said = _check(tmp_path, _with_ensemble(best), _with_ensemble(None))
    assert (code, said.count("│ worse")) == (1, 1)
    assert "ensemble of limit" in said


def test_runs_without_figures_fail_a_check_though_no_ratio_is_worse(tmp_path: Path) -> None:
    """At one load of a sweep the service broke: the best load does not show it."""
    best = {"share": 0.85, "spread": 0.02, "steady": True}
    old, new = (
        _with_ensemble(best),
        _with_ensemble(best, "ensemble at 64 gave no figures", "ensemble at 32 took longer"),
    )
    assert _check(tmp_path, old, old)[0] == 0
    with pytest.raises(PerfAnalyzerFailed, match="ensemble 2"):
        CliRunner().invoke(app, _arguments(tmp_path, old, new), catch_exceptions=False)


def test_a_step_that_was_left_out_is_told_and_does_not_fail(tmp_path: Path) -> None:
    """Where no perf_analyzer runs, the rest is compared all the same."""
    best = {"share": 0.85, "spread": 0.02, "steady": True}
    code, said = _check(tmp_path, _with_ensemble(best), _record(0.8))
    assert code == 0
    assert "not compared: ensemble of limit" in said


def test_what_measures_again_is_written_beside_the_first_and_is_no_whole_bench(tmp_path: Path) -> None:
    """Each file has a name of its own; none of them is ever compared with."""
    whole = results.write(_record(0.8), tmp_path)
    paths = [results.write(_record(0.1 * again, whole=False), tmp_path, again=again) for again in (0, 1, 2)]
    begin = "2026-01-01-2core-avx2-partial"
    assert [path.name for path in paths] == [f"{begin}.json", f"{begin}-again-1.json", f"{begin}-again-2.json"]
    assert [results.read(path)["http"]["facepp-250"]["best"]["share"] for path in paths] == [0.0, 0.1, 0.2]
    assert results.newest(tmp_path) == whole


class _Bench:
    """Hands out records in place of measuring them, and keeps what it was asked for."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self._records = list(records)
        self.asked: list[tuple[Plan, list[str]]] = []

    def __call__(self, plan: Plan, wanted: Sequence[str], say: object, *, began: float | None = None) -> dict[str, Any]:
        del say
        # What measures again has a clock of its own.
        assert (began is None) is (not self.asked)
        self.asked.append((plan, list(wanted)))
        return self._records.pop(0)


def _measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: dict[str, Any], *records: dict[str, Any]
) -> tuple[_Bench, Result]:
    """A check that measures; its results lie in `new`."""
    made = _Bench(*({**record, "whole": False} for record in records))
    monkeypatch.setattr(bench, "measure", made)
    monkeypatch.setattr(main, "RESULTS", tmp_path / "new")
    return made, CliRunner().invoke(app, ["check", "--old", str(results.write(old, tmp_path / "old"))])


def _shares_written(folder: Path) -> dict[str, float]:
    written = {path.stem.partition("-partial")[2]: results.read(path) for path in folder.iterdir()}
    return {end: record["http"]["facepp-250"]["best"]["share"] for end, record in written.items()}


def test_a_check_measures_the_step_of_what_is_worse_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a whole bench's repeats, once where that is enough; every measurement is told and written."""
    made, ended = _measuring(tmp_path, monkeypatch, _record(0.8), _record(0.7), _record(0.82))
    assert ended.exit_code == 0
    (first, _), (again, steps) = made.asked
    assert (first, again, steps) == (Plan.short(), Plan.full(), ["facepp"])
    assert "facepp-250 of limit came out worse; measured again (1 of 2)" in " ".join(ended.output.split())
    assert "0.7 0.82" in ended.output
    assert "│ worse" not in ended.output
    assert _shares_written(tmp_path / "new") == {"": 0.7, "-again-1": 0.82}


def test_a_check_fails_where_it_is_worse_three_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And measures no fourth time."""
    made, ended = _measuring(tmp_path, monkeypatch, _record(0.8), _record(0.6), _record(0.65), _record(0.7))
    assert (ended.exit_code, len(made.asked)) == (1, 3)
    assert "(2 of 2)" in ended.output
    assert _shares_written(tmp_path / "new") == {"": 0.6, "-again-1": 0.65, "-again-2": 0.7}


def test_a_loss_that_no_steady_measurement_confirms_is_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a regression nor a success, whatever else is as it was."""
    moved = _record(0.65)
    moved["http"]["facepp-250"]["best"]["steady"] = False
    made, ended = _measuring(tmp_path, monkeypatch, _record(0.8), _record(0.6), moved, deepcopy(moved))
    assert isinstance(ended.exception, Undecided)
    assert "facepp-250 of limit" in str(ended.exception)
    assert len(made.asked) == 3


def test_a_check_of_an_equal_product_measures_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its steps, in the short plan."""
    made, ended = _measuring(tmp_path, monkeypatch, _record(0.8), _record(0.8))
    assert ended.exit_code == 0
    assert "measured again" not in ended.output
    ((plan, steps),) = made.asked
    assert plan.quick
    assert {"idle", "facepp", "jdcloud", "aliyun", "peer", "ensemble"} < set(steps)


@pytest.mark.parametrize(
    ("ending", "error"),
    [({"fault": "the service ended"}, ServiceFailed), ({"fault": "x", "stopped": True}, SystemExit)],
)
def test_a_bench_that_measures_again_and_breaks_off_ends_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: dict[str, Any], error: type[BaseException]
) -> None:
    """As the first one does, with no verdict, and what it had measured written."""
    _, ended = _measuring(tmp_path, monkeypatch, _record(0.8), _record(0.6), _record(0.65, **ending))
    assert isinstance(ended.exception, error)
    assert ended.exit_code != 0
    assert "│" not in ended.output
    assert _shares_written(tmp_path / "new") == {"": 0.6, "-again-1": 0.65}


def test_runs_without_figures_fail_a_check_that_measured_again_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever they were."""
    best = {"share": 0.85, "spread": 0.02, "steady": True}
    good, slow = _with_ensemble(best), _with_ensemble({**best, "share": 0.7})
    faulty = _with_ensemble({**best, "share": 0.9}, "ensemble at 64 gave no figures")
    made, ended = _measuring(tmp_path, monkeypatch, good, slow, faulty)
    assert made.asked[1][1] == ["ensemble"]
    assert isinstance(ended.exception, PerfAnalyzerFailed)


def test_where_nothing_is_committed_the_remedy_is_told(repository: Path, tmp_path: Path) -> None:
    """In a repository, and outside of one."""
    for folder in (repository, tmp_path / "nowhere"):
        with pytest.raises(NoResults, match="commit its file"):
            results.committed(_MACHINE, folder)
