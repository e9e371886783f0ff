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
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig as Message

from visavis_server.backends.onnxruntime.configuration import ModelConfig, ModelInvalid
from visavis_server.backends.onnxruntime.session import OnnxModel
from visavis_server.device import Device
from visavis_server.errors import TritonFailed

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


@pytest.fixture(scope="module")
def choices() -> ModuleType:
    return program("choices")


class TestCommand:
    def test_a_dry_run_tells_every_step_in_its_order(self) -> None:
        told = bench("--dry-run", "--all").stdout.splitlines()
        steps: tuple[str, ...] = (
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

    def test_the_choices_come_last_with_the_time_that_is_left(self) -> None:
        told = bench("--dry-run", "--choices", "--minutes", "12")
        half, last = told.stdout.splitlines()[-2:]
        assert "--precision fp16" in half
        assert last.endswith("perf/gpu/choices.py --minutes 12")
        assert "12 minutes" in told.stderr.splitlines()[0]
        assert "choices" in told.stderr

    @pytest.mark.parametrize("step", ["check", "targets", "choices"])
    def test_a_single_step_runs_alone_once_all_is_installed(self, step: str) -> None:
        told = bench("--dry-run", "--only", step).stdout.splitlines()
        run = [line for line in told if "perf/gpu/" in line and " install " not in line]
        assert len(run) == 1
        assert f"perf/gpu/{step}.py" in run[0]

    def test_without_a_network_nothing_is_looked_for_outside_the_folder(self, tmp_path: Path) -> None:
        told = bench("--dry-run", "--wheels", str(tmp_path), "--host-cuda").stdout.splitlines()
        installing = [line for line in told if " install " in line]
        assert len(installing) == 5
        assert all(f"--no-index --find-links {tmp_path}" in line for line in installing)
        assert not any("[cuda" in line for line in told)

    @pytest.mark.parametrize(
        "wrong",
        [["--quick"], ["--wheels", "/nowhere"], ["--wheels"], ["--only", "all"], ["--minutes", "soon"], ["--minutes"]],
    )
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

    def test_half_precision_is_carried_whole_and_the_rest_but_for_the_checkout(self, tmp_path: Path) -> None:
        ours, half = tmp_path / "ours", tmp_path / "half"
        for repository in (ours, half):
            for name in ("face_embedder/1/model.onnx", "face_embedder/config.pbtxt", "models.json"):
                (repository / name).parent.mkdir(parents=True, exist_ok=True)
                (repository / name).touch()
        carry = program("carry")
        found = [path.relative_to(tmp_path).as_posix() for path in carry.built(ours, half)]
        assert "ours/face_embedder/config.pbtxt" not in found
        assert {"ours/face_embedder/1/model.onnx", "half/face_embedder/config.pbtxt", "half/models.json"} <= set(found)
        assert len(list(carry.built(ours, tmp_path / "none"))) == 2


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
            "compares": [
                {"rate": 1000.0, "goodput": 1000.0, "p99_ms": 80.0, "kinds": {"ok": 6000}, **rate} for rate in rates
            ],
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

    def test_one_slow_run_of_three_is_forgiven_and_an_error_in_any_is_not(self) -> None:
        slow: dict[str, Any] = {"p99_ms": 300.0, "goodput": 900.0}
        assert self.judged({}, slow, {})[0] is True
        assert self.judged({}, slow, slow)[0] is False
        assert self.judged({}, {"kinds": {"ok": 5999, "busy": 1}}, {})[0] is False

    def test_runs_at_another_rate_do_not_speak_for_this_one(self) -> None:
        refused = {"rate": 1500.0, "goodput": 1100.0, "kinds": {"ok": 6000, "busy": 900}}
        assert self.judged({}, {}, {}, refused)[0] is True
        assert self.judged({"rate": 800.0, "goodput": 800.0}, refused)[0] is False

    def test_the_generators_delay_stands_beside_the_percentile(self) -> None:
        row = {"rate": 1200.0, "goodput": 1190.5, "p99_ms": 84.0, "late_p99_ms": 3.4, "kinds": {"ok": 7000, "busy": 2}}
        head, line, empty = program("targets").table([row, {**row, "p99_ms": None}])
        assert head.split()[-1] == "answers"
        assert line.split() == ["1200", "1190", "84", "3", "ok", "7000,", "busy", "2"]
        assert empty.split()[2] == "–"

    def test_without_figures_nothing_is_met(self) -> None:
        record: dict[str, Any] = {"compares": [], "ensemble": [], "embedder": [], "raw": {"face_embedder": {"32": 9.0}}}
        assert not any(verdict.met for verdict in program("targets").judge(record))


class TestChoices:
    def test_the_default_comes_first_and_again_at_the_end(self, choices: ModuleType) -> None:
        """What differs between the two is noise; all others differ from it in a setting."""
        first, *others, last = choices.choices(16)
        assert replace(last, name=first.name) == first
        assert len({replace(one, name="") for one in (first, *others)}) == len(others) + 1
        assert len({one.name for one in (first, *others, last)}) == len(others) + 2

    def test_a_choice_changes_what_it_names_and_nothing_else(self, choices: ModuleType, tmp_path: Path) -> None:
        for number, choice in enumerate(choices.choices(16)):
            choices.lay_out(choice, ROOT / "model_repository", tmp_path / str(number))
            for model in ("image_decoder", "face_detector", "face_aligner", "face_embedder"):
                changed = read_config(tmp_path / str(number) / model / "config.pbtxt")
                plain = read_config(ROOT / "model_repository" / model / "config.pbtxt")
                count = choice.instances if model in {"face_detector", "face_embedder"} else choice.steps
                assert changed.instance_group[0].count == (count or plain.instance_group[0].count)
                graph = changed.optimization.execution_accelerators.gpu_execution_accelerator
                assert bool(graph) is (choice.cuda_graph and model == "face_embedder")
                assert all(dict(one.parameters) == {"enable_cuda_graph": "1"} for one in graph)
                del changed.instance_group[:], plain.instance_group[:]
                changed.ClearField("optimization")
                plain.ClearField("optimization")
                assert changed == plain

    def test_every_choice_is_one_that_the_backend_takes_on_a_card(self, choices: ModuleType, tmp_path: Path) -> None:
        """Up to the first call of CUDA: what is missing here is the provider, and nothing before it."""
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("the provider is there: perf/gpu/choices.py itself tells more")
        if not (ROOT / "model_repository" / "models.json").is_file():
            pytest.skip("the graphs are not built: make export")
        for number, choice in enumerate(choices.choices(16)):
            choices.lay_out(choice, ROOT / "model_repository", tmp_path / str(number))
            for model in ("face_detector", "face_embedder"):
                folder = tmp_path / str(number) / model
                message = read_config(folder / "config.pbtxt")
                config = ModelConfig.from_json(json_format.MessageToJson(message, preserving_proto_field_name=True))
                with pytest.raises(ModelInvalid, match="no CUDAExecutionProvider"):
                    OnnxModel(config, folder / "1" / "model.onnx", kind="GPU")

    def test_the_table_compares_with_the_default(self, choices: ModuleType) -> None:
        def row(name: str, ensemble: float, **more: Any) -> dict[str, Any]:
            figures = {"ensemble": [{"images_per_s": 9.0}, {"images_per_s": ensemble}], "embedder": []}
            return {"name": name, "ready_s": 21.4, **figures, **more}

        rows = [row("default", 2000), row("float16", 3000, differs="embeddings differ"), {"name": "x", "fault": "no"}]
        _, first, second, third = choices.table(rows)
        assert "2000/s  x 1.00" in first
        assert "3000/s  x 1.50" in second
        assert second.split()[6] == "–"
        assert second.endswith("embeddings differ")
        assert third.split() == ["x", "no"]

    def test_what_the_time_does_not_allow_is_told_and_not_begun(
        self, choices: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choices, "measure", None)
        rows = choices.run(1.0, Device.GPU, None, 16)
        assert len(rows) == len(choices.choices(16))
        assert all("no time left" in row["fault"] for row in rows)

    def test_a_choice_that_does_not_come_up_spares_the_others(
        self, choices: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Other embeddings than the default's are told; graphs that nobody made are."""

        def measure(choice: Any, *_: object) -> tuple[dict[str, Any], Any]:
            if choice.instances == 3:
                raise TritonFailed("out of\nmemory")
            vectors = np.eye(3, dtype=np.float32)
            return {"name": choice.name}, vectors[::-1] if choice.cuda_graph else vectors

        monkeypatch.setattr(choices, "measure", measure)
        monkeypatch.setattr(choices, "HALF_PRECISION", tmp_path)
        rows = {row["name"]: row for row in choices.run(60.0, Device.GPU, None, 16)}
        assert rows["3 instances"]["fault"] == "does not serve: out of memory"
        assert "has no graphs" in rows["float16"]["fault"]
        assert "embeddings differ" in rows["CUDA graph"]["differs"]
        assert rows["default, again"]["differs"] is None


def read_config(path: Path) -> Message:
    return text_format.Parse(path.read_text("utf-8"), Message())
