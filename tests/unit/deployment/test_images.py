"""The Dockerfiles: what they copy, install and start is there; the export's image fills a folder that can be served."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from deploying import DEPLOY, DOCKERFILES, ROOT, SERVICES, image_environment, instructions, mounts
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from visavis_export.configurations import PROJECTS

#: Where the Python models' imports come from.
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "simplejpeg": "simplejpeg"}
FILL = DEPLOY / "fill-models.sh"


def printed_by(code: str, environment: dict[str, str]) -> Path:
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **{k: v for k, v in environment.items() if k != "PYTHONPATH"}},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(run.stdout.strip())


def imported_by(path: Path) -> set[str]:
    """Top-level names that a module cannot do without."""
    tree = ast.parse(path.read_text())
    optional = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(each) for each in node.handlers)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    names = set()
    for node in set(ast.walk(tree)) - optional:
        if isinstance(node, ast.Import):
            names |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
class TestEach:
    def test_its_base_is_pinned(self, dockerfile: Path) -> None:
        (base,) = instructions(dockerfile, "FROM")
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", base)

    def test_what_it_copies_is_there_and_gets_through_the_ignore_file(self, dockerfile: Path) -> None:
        kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        copies = instructions(dockerfile, "COPY")
        assert copies
        for line in copies:
            source = Path(line.split()[0])
            assert (ROOT / source).exists()
            assert kept & {str(place) for place in (source, *source.parents)}

    def test_it_installs_by_hash(self, dockerfile: Path) -> None:
        lock = next(line.split()[0] for line in instructions(dockerfile, "COPY") if line.startswith("requirements/"))
        assert "--require-hashes" in dockerfile.read_text()
        assert "--hash=sha256:" in (ROOT / lock).read_text()

    def test_compose_builds_it(self, dockerfile: Path) -> None:
        built = {service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service}
        assert f"deploy/{dockerfile.name}" in built


class TestTriton:
    def test_everything_that_the_python_models_import_is_in_the_image(self) -> None:
        pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "triton.txt").read_text(), re.MULTILINE))
        own = {name for path in ROOT.glob("model_repository/*/1/*.py") for name in (path.stem, path.parts[-3])}
        given = {"numpy", "triton_python_backend_utils"}
        imported = {name for path in ROOT.glob("model_repository/*/1/*.py") for name in imported_by(path)}
        foreign = imported - set(sys.stdlib_module_names) - own - given
        assert foreign <= set(DISTRIBUTIONS)
        assert {DISTRIBUTIONS[name] for name in foreign} <= pinned

    def test_the_python_models_are_tested_in_the_versions_of_the_image(self) -> None:
        tested = (ROOT / "requirements" / "dev.txt").read_text()
        for line in re.findall(r"^\S+==\S+", (ROOT / "requirements" / "triton.txt").read_text(), re.MULTILINE):
            assert line in tested


class TestProxy:
    def test_its_data_has_a_place_where_no_variable_is_given(self) -> None:
        code = "from visavis_proxy.settings import Settings; print(Settings().data_directory)"
        assert printed_by(code, image_environment("proxy.Dockerfile")) == Path(mounts("proxy")["data"])

    def test_it_owns_its_data(self) -> None:
        dockerfile = DEPLOY / "proxy.Dockerfile"
        (user,) = instructions(dockerfile, "USER")
        owner, group = user.split(":")
        assert f"--owner {owner} --group {group} --mode 0700 {mounts('proxy')['data']}" in dockerfile.read_text()

    def test_it_starts_the_command(self) -> None:
        (entrypoint,) = instructions(DEPLOY / "proxy.Dockerfile", "ENTRYPOINT")
        _python, *line = ast.literal_eval(entrypoint)
        run = subprocess.run([sys.executable, *line, "--help"], capture_output=True, text=True, check=True)
        assert "--workers" in run.stdout


class TestExport:
    def test_it_keeps_weights_where_a_user_without_a_home_may_write(self) -> None:
        code = "from visavis_export.main import _source; print(_source(None).cache)"
        environment = image_environment("export.Dockerfile")
        assert printed_by(code, environment).is_relative_to(SERVICES["export"]["tmpfs"][0])

    def test_it_is_filled_by_a_script_that_may_be_run(self) -> None:
        (entrypoint,) = instructions(DEPLOY / "export.Dockerfile", "ENTRYPOINT")
        script, _models = ast.literal_eval(entrypoint)
        assert f"COPY deploy/{FILL.name} {script}\n" in (DEPLOY / "export.Dockerfile").read_text()
        assert FILL.stat().st_mode & stat.S_IXOTH


class TestFilling:
    """The script, with a copy of the checkout's repository as what the image was built with."""

    @pytest.fixture
    def image(self, tmp_path: Path) -> Path:
        if not (PROJECTS / "models.json").is_file():
            pytest.skip("the graphs are not exported: visavis export")
        image = tmp_path / "app"
        (image / "cache").mkdir(parents=True)
        shutil.copytree(PROJECTS, image / "finished", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(FILL, image)
        return image

    @staticmethod
    def fill(image: Path, models: Path, cores: int) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(image.parent / "tmp"),
            "CORES": str(cores),
        }
        command = ["sh", "-c", f'umask 022 && exec {image / FILL.name} "$@"', "sh", str(models)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def test_it_fills_an_empty_folder_for_the_cores_of_triton(self, image: Path, tmp_path: Path) -> None:
        """Graphs, thresholds and configurations that another user can read."""
        models = tmp_path / "models"
        models.mkdir()
        run = self.fill(image, models, 12)
        assert run.returncode == 0, run.stdout + run.stderr
        for name in ("models.json", "operating_points.json", "face_detector/1/model.onnx"):
            assert (models / name).read_bytes() == (PROJECTS / name).read_bytes()
        decoder = text_format.Parse((models / "image_decoder/config.pbtxt").read_text(), ModelConfig())
        assert sum(group.count for group in decoder.instance_group) == 12
        for path in models.rglob("*"):
            assert path.name == ".export.lock" or path.stat().st_mode & stat.S_IROTH, path

    def test_a_restart_brings_the_images_configurations_and_keeps_the_users_thresholds(
        self, image: Path, tmp_path: Path
    ) -> None:
        models = tmp_path / "models"
        models.mkdir()
        assert self.fill(image, models, 4).returncode == 0
        before = (models / "face_aligner/config.pbtxt").read_text()
        (models / "face_aligner/config.pbtxt").write_text(before + "# by hand\n")
        points = (models / "operating_points.json").read_text() + "\n"
        (models / "operating_points.json").write_text(points)
        assert self.fill(image, models, 4).returncode == 0
        assert (models / "face_aligner/config.pbtxt").read_text() == before
        assert (models / "operating_points.json").read_text() == points

    def test_another_pack_is_kept(self, image: Path, tmp_path: Path) -> None:
        """Also where it is not whole, which only its owner can mend."""
        models = tmp_path / "models"
        models.mkdir()
        (models / "models.json").write_text('{"pack": "ours", "embedder": {"dimensions": 512}, "detector": {}}')
        run = self.fill(image, models, 4)
        assert run.returncode != 0
        assert "holds the pack ours" in run.stderr
        assert not (models / "face_detector/1/model.onnx").exists()
