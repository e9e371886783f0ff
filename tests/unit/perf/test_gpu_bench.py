"""The one command for a host with a card, as far as it can be tried without one."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[3]
GPU = ROOT / "perf" / "gpu"


@contextmanager
def neighbours_importable() -> Iterator[None]:
    """As for a program of that folder."""
    sys.path.insert(0, str(GPU))
    try:
        yield
    finally:
        sys.path.remove(str(GPU))


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", GPU / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with neighbours_importable():
        spec.loader.exec_module(module)
    return module


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PERF_ANALYZER"}
    return subprocess.run([GPU / "bench.sh", *arguments], env=environment, capture_output=True, text=True, check=False)


class TestCommand:
    def test_a_dry_run_tells_every_step_in_its_order(self) -> None:
        told = bench("--dry-run", "--all").stdout.splitlines()
        steps = (
            "-m venv",
            "hatchling",
            "packages.txt",
            "perf-analyzer",
            "onnxruntime-gpu[cuda,cudnn]",
            "--editable .",
            "visavis export",
        )
        steps += ("perf/gpu/check.py", "perf/gpu/targets.py", "visavis bench run --extended")
        assert len(told) == len(steps)
        assert all(step in line for step, line in zip(steps, told, strict=True))

    def test_without_a_network_nothing_is_looked_for_outside_the_folder(self, tmp_path: Path) -> None:
        told = bench("--dry-run", "--wheels", str(tmp_path), "--host-cuda").stdout.splitlines()
        installing = [line for line in told if " install " in line]
        assert len(installing) == 5
        assert all(f"--no-index --find-links {tmp_path}" in line for line in installing)
        assert not any("[cuda" in line for line in told)

    @pytest.mark.parametrize("wrong", [["--quick"], ["--wheels", "/nowhere"], ["--wheels"]])
    def test_what_it_does_not_know_is_told(self, wrong: list[str]) -> None:
        run = bench("--dry-run", *wrong)
        assert run.returncode != 0
        assert "bench.sh" in run.stderr

    def test_it_names_what_the_project_asks_for_and_no_second_onnxruntime(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        extras = project["project"]["optional-dependencies"]
        groups = project["dependency-groups"]
        asked = [*project["project"]["dependencies"], *extras["embedded"], *extras["export"], *groups["perf"]]
        names = {re.split(r"[^\w-]", one)[0] for one in asked} - {"onnxruntime", "openvino"}
        named = (GPU / "packages.txt").read_text().splitlines()
        assert names <= {re.split(r"[^\w-]", line)[0] for line in named}
        assert not any(line.startswith("onnxruntime") for line in named)
        assert "numpy>=1.26,<2" in named


class TestParts:
    def test_parts_put_together_are_what_was_written(self, tmp_path: Path) -> None:
        carry = program("carry")
        contents = np.random.default_rng(0).bytes(100_000)
        (tmp_path / "wheel").write_bytes(contents)
        writer = carry.PartWriter(tmp_path / "parts", 16_384)
        with tarfile.open(fileobj=writer, mode="w|") as archive:
            archive.add(tmp_path / "wheel", ".gpu/wheels/one.whl")
        writer.close()
        parts = sorted((tmp_path / "parts").glob("*/part"))
        assert len(parts) > 6
        assert {part.stat().st_size for part in parts[:-1]} == {16_384}
        joined = BytesIO(b"".join(part.read_bytes() for part in parts))
        with tarfile.open(fileobj=joined) as archive:
            member = archive.extractfile(".gpu/wheels/one.whl")
            assert member is not None
            assert member.read() == contents

    def test_this_pythons_library_is_among_its_files_and_its_packages_are_not(self) -> None:
        carry = program("carry")
        names = [place for _, place in carry.python_files()]
        assert any(re.fullmatch(r"lib/libpython3\.\d+\.so\.1\.0", name) for name in names)
        assert any(name.endswith("/json/decoder.py") for name in names)
        assert not any("site-packages" in name or "__pycache__" in name for name in names)


class TestCheck:
    def test_a_model_by_the_configuration_for_cards_is_what_onnxruntime_makes_of_its_graph(self) -> None:
        if not (ROOT / "model_repository" / "models.json").is_file():
            pytest.skip("the graphs are not built: make export")
        check = program("check")
        images = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
        (ours,) = check.load("face_embedder", "CPU").run([{"image": images}])
        graph = onnxruntime.InferenceSession(
            ROOT / "model_repository" / "face_embedder" / "1" / "model.onnx", providers=["CPUExecutionProvider"]
        )
        (theirs,) = graph.run(["embedding"], {"image": images})
        assert check.fault_of_embeddings(ours["embedding"], theirs) is None

    def test_other_embeddings_and_faces_are_faults(self) -> None:
        check = program("check")
        rows = np.eye(3, dtype=np.float32)
        assert "0.00000" in check.fault_of_embeddings(rows, rows[::-1])
        faces = {"face_count": np.array([[1]]), "boxes": np.zeros((1, 2, 4)), "landmarks": np.zeros((1, 2, 5, 2))}
        assert check.fault_of_faces(faces, faces) is None
        assert "1] faces, not [2" in check.fault_of_faces(faces, {**faces, "face_count": np.array([[2]])})
        for name in ("boxes", "landmarks"):
            assert "nan pixels" in check.fault_of_faces(faces, {**faces, name: np.full_like(faces[name], np.nan)})
        nobody = {**faces, "face_count": np.array([[0]])}
        assert "neither" in check.fault_of_faces(nobody, nobody)
        assert "3.00 pixels" in check.fault_of_faces(faces, {**faces, "boxes": np.full((1, 2, 4), 3.0)})


class TestTargets:
    def judged(self, *rates: dict[str, Any], ensemble: float = 3100, embedder: float = 850) -> list[bool]:
        record = {
            "compares": [{"goodput": 1000.0, "p99_ms": 80.0, "kinds": {"ok": 6000}, **rate} for rate in rates],
            "ensemble": [{"images_per_s": ensemble}],
            "embedder": [{"images_per_s": embedder}],
            "raw": {"face_embedder": {"32": 1000.0}},
        }
        return [verdict.met for verdict in program("targets").judge(record)]

    def test_the_issues_lines_are_met(self) -> None:
        assert self.judged({}) == [True, True, True]

    def test_one_refusal_a_slow_hundredth_or_too_little_misses(self) -> None:
        for worse in ({"kinds": {"ok": 5999, "busy": 1}}, {"p99_ms": 101.0}, {"goodput": 900.0}, {"p99_ms": None}):
            assert self.judged(worse)[0] is False
        assert self.judged({}, ensemble=2999, embedder=799) == [True, False, False]

    def test_without_figures_nothing_is_met(self) -> None:
        record: dict[str, Any] = {"compares": [], "ensemble": [], "embedder": [], "raw": {"face_embedder": {"32": 9.0}}}
        assert not any(verdict.met for verdict in program("targets").judge(record))
