"""What is written in the deployment files is what our programs, the configuration and Triton really take."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shlex
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from fakes import FakeState
from pydantic import BaseModel

from visavis_client.fakes import FAKE_MODEL
from visavis_proxy.face_tokens import open_face_tokens
from visavis_proxy.fetch import open_fetcher
from visavis_proxy.sealing import new_key, open_sealer
from visavis_proxy.settings import Settings, SettingsInvalid, read_settings
from visavis_server.errors import CommandFailed
from visavis_server.installation import TritonInstallation
from visavis_server.main import app

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILES = sorted((ROOT / "deploy").glob("*.Dockerfile"))
KEY = "VISAVIS_STATE__ENCRYPTION_KEY"
#: Where the Python models' imports come from.
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "simplejpeg": "simplejpeg"}


def instructions(dockerfile: Path, word: str) -> list[str]:
    return re.findall(rf"^{word} (.+)$", dockerfile.read_text(), re.MULTILINE)


def settings_name(variable: str) -> bool:
    """Whether ``VISAVIS_A__B`` is field b of group a of the settings."""
    model: type[BaseModel] | None = Settings
    for part in variable.removeprefix("VISAVIS_").lower().split("__"):
        if model is None or part not in model.model_fields:
            return False
        kind = model.model_fields[part].annotation
        model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return True


@cache
def serve_flags() -> set[str]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {flag for parameter in commands["serve"].params for flag in parameter.opts}


@cache
def triton_help() -> str:
    installation = TritonInstallation.find()
    run = subprocess.run(
        [installation.server, "--help"], env=installation.environment(), capture_output=True, text=True, check=False
    )
    return run.stdout + run.stderr


def triton_flags() -> dict[str, str]:
    """Flags of the compose file with their values, without the program's name."""
    program, *flags = SERVICES["triton"]["command"]
    assert program == "tritonserver"
    return dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)


def image_environment(dockerfile: str) -> dict[str, str]:
    """What ENV says, with the home that Docker gives to a user who is in no passwd."""
    lines = instructions(ROOT / "deploy" / dockerfile, "ENV")
    return {"HOME": "/", **dict(word.split("=", 1) for line in lines for word in shlex.split(line))}


def printed_by(code: str, environment: dict[str, str]) -> Path:
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **{k: v for k, v in environment.items() if k != "PYTHONPATH"}},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(run.stdout.strip())


def proxy_environment(given: dict[str, str]) -> dict[str, str]:
    """The proxy's variables as docker-compose hands them on; KeyError where it would ask for one of the operator's."""

    def value_of(match: re.Match[str]) -> str:
        return given[match[1]]

    environment: dict[str, str] = SERVICES["proxy"]["environment"]
    return {name: re.sub(r"\$\{(\w+):\?[^}]+\}", value_of, value) for name, value in environment.items()}


def mounts(service: str) -> dict[str, str]:
    return {volume: place for volume, place, *_ in (entry.split(":") for entry in SERVICES[service]["volumes"])}


class TestTriton:
    def test_every_flag_is_one_of_tritons(self) -> None:
        for name in triton_flags():
            assert re.search(rf"^  --{re.escape(name)}\b", triton_help(), re.MULTILINE), name

    def test_it_reads_the_configuration_for_gpus_as_it_is_written(self) -> None:
        flags = triton_flags()
        assert "disable-auto-complete-config" in flags
        assert "model-config-name" not in flags
        assert flags["model-repository"] == mounts("triton")["models"]

    def test_its_health_is_asked_where_it_answers(self) -> None:
        flags = triton_flags()
        assert SERVICES["triton"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{flags['http-port']}/v2/health/ready"

    def test_one_gpu_is_reserved_and_memory_is_shared(self) -> None:
        (device,) = SERVICES["triton"]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert SERVICES["triton"]["shm_size"].endswith("gb")

    def test_everything_that_the_python_models_import_is_in_the_image(self) -> None:
        pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "triton.txt").read_text(), re.MULTILINE))
        own = {path.stem for path in ROOT.glob("model_repository/*/1/*.py")}
        given = {"numpy", "triton_python_backend_utils"}
        imported = set()
        for path in ROOT.glob("model_repository/*/1/*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {name.name.split(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
        foreign = imported - set(sys.stdlib_module_names) - own - given
        assert foreign <= set(DISTRIBUTIONS)
        assert {DISTRIBUTIONS[name] for name in foreign} <= pinned

    def test_the_python_models_are_tested_in_the_versions_of_the_image(self) -> None:
        tested = (ROOT / "requirements" / "dev.txt").read_text()
        for line in re.findall(r"^\S+==\S+", (ROOT / "requirements" / "triton.txt").read_text(), re.MULTILINE):
            assert line in tested


class TestProxy:
    def test_every_variable_is_a_setting(self) -> None:
        names = [name for service in SERVICES.values() for name in service.get("environment", {})]
        names += [
            name
            for path in DOCKERFILES
            for line in instructions(path, "ENV")
            for name in re.findall(r"VISAVIS_\w+", line)
        ]
        assert names
        for name in names:
            assert settings_name(name), name

    def test_a_misspelt_variable_would_be_noticed(self) -> None:
        assert not settings_name("VISAVIS_TRITTON")
        assert not settings_name("VISAVIS_STATE__URI")

    def test_its_settings_are_accepted_and_point_to_the_other_services(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in proxy_environment({KEY: new_key()}).items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        assert settings.triton == f"http://triton:{triton_flags()['http-port']}"
        assert str(settings.model_repository) == mounts("proxy")["models"]
        assert str(settings.data_dir) == mounts("proxy")["data"]
        assert settings.state.url is not None
        assert settings.state.url.get_secret_value().startswith("redis://redis:")
        assert not settings.on_loopback

    def test_what_it_opens_at_its_start_opens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in proxy_environment({KEY: new_key()}).items():
            monkeypatch.setenv(name, value)
        settings = read_settings()
        assert open_sealer(settings)
        assert open_face_tokens(settings, FakeState(), FAKE_MODEL)
        asyncio.run(open_fetcher(settings).close())

    def test_it_starts_as_far_as_the_models_that_its_volume_would_hold(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With its own environment; only places are this machine's, and Triton is somebody who listens."""
        (tmp_path / "models.json").write_text("{}")
        with socket.create_server(("127.0.0.1", 0)) as triton:
            here = "{}:{}".format(*triton.getsockname())
            for name, value in proxy_environment({KEY: new_key()}).items():
                monkeypatch.setenv(name, value.replace("triton:8000", here))
            monkeypatch.delenv("VISAVIS_STATE__URL")
            monkeypatch.setenv("VISAVIS_PORT", "0")
            monkeypatch.setenv("VISAVIS_MODEL_REPOSITORY", str(tmp_path))
            monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path / "data"))
            assert os.environ["VISAVIS_TRITON"] == f"http://{here}"
            with pytest.raises(CommandFailed, match=r"models\.json") as refusal:
                app(["serve", *SERVICES["proxy"]["command"]], standalone_mode=False)
        assert "--triton" not in str(refusal.value)

    def test_it_would_not_start_without_the_key_that_docker_compose_demands(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(KeyError, match=KEY):
            proxy_environment({})
        for name, value in proxy_environment({KEY: new_key()}).items():
            if name != KEY:
                monkeypatch.setenv(name, value)
        with pytest.raises(SettingsInvalid, match=KEY):
            open_sealer(read_settings())

    def test_its_data_has_a_place_where_no_variable_is_given(self) -> None:
        code = "from visavis_proxy.settings import Settings; print(Settings().data_directory)"
        assert printed_by(code, image_environment("proxy.Dockerfile")) == Path(mounts("proxy")["data"])

    def test_its_port_is_one_and_the_same_everywhere(self) -> None:
        proxy = SERVICES["proxy"]
        port = proxy["environment"]["VISAVIS_PORT"]
        (published,) = proxy["ports"]
        assert published == f"127.0.0.1:8080:{port}"
        assert f"http://127.0.0.1:{port}/health/ready" in proxy["healthcheck"]["test"][-1]
        assert instructions(ROOT / "deploy" / "proxy.Dockerfile", "EXPOSE") == [port]

    def test_it_is_started_with_flags_that_the_command_takes(self) -> None:
        (entrypoint,) = instructions(ROOT / "deploy" / "proxy.Dockerfile", "ENTRYPOINT")
        assert ast.literal_eval(entrypoint) == ["python", "-m", "visavis_server", "serve"]
        flags = [word for word in SERVICES["proxy"]["command"] if word.startswith("--")]
        assert flags
        assert set(flags) <= serve_flags()

    def test_it_owns_its_data(self) -> None:
        text = (ROOT / "deploy" / "proxy.Dockerfile").read_text()
        (user,) = instructions(ROOT / "deploy" / "proxy.Dockerfile", "USER")
        owner, group = user.split(":")
        assert f"--owner {owner} --group {group} --mode 0700 {mounts('proxy')['data']}" in text


class TestExport:
    def test_it_fills_the_volume_that_the_others_read(self) -> None:
        (entrypoint,) = instructions(ROOT / "deploy" / "export.Dockerfile", "ENTRYPOINT")
        place = mounts("export")["models"]
        assert place == mounts("triton")["models"] == mounts("proxy")["models"]
        assert f"/app/model_repository/. {place}/ && " in entrypoint
        assert entrypoint.endswith(f'exec python -m visavis_export --model-repository {place}"]')
        assert f"{place}\n" in (ROOT / "deploy" / "export.Dockerfile").read_text()

    def test_the_export_takes_those_arguments(self) -> None:
        run = subprocess.run(
            [sys.executable, "-m", "visavis_export", "--help"], capture_output=True, text=True, check=True
        )
        assert "--model-repository" in run.stdout

    def test_it_keeps_weights_where_a_user_without_a_home_may_write(self) -> None:
        code = "from visavis_export.main import _source; print(_source(None).cache)"
        assert printed_by(code, image_environment("export.Dockerfile")).is_relative_to("/tmp")

    def test_triton_waits_for_it(self) -> None:
        assert SERVICES["triton"]["depends_on"] == {"export": {"condition": "service_completed_successfully"}}


class TestRedis:
    def test_what_it_holds_outlives_a_restart(self) -> None:
        command = SERVICES["redis"]["command"]
        assert command[command.index("--appendonly") + 1] == "yes"
        assert mounts("redis") == {"state": "/data"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
class TestImages:
    def test_its_base_is_pinned(self, dockerfile: Path) -> None:
        (base,) = instructions(dockerfile, "FROM")
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", base)

    def test_what_it_copies_is_there_and_gets_through_the_ignore_file(self, dockerfile: Path) -> None:
        kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        copies = instructions(dockerfile, "COPY")
        assert copies
        for line in copies:
            source = line.split()[0]
            assert (ROOT / source).exists()
            assert source.split("/")[0] in kept

    def test_it_installs_by_hash(self, dockerfile: Path) -> None:
        lock = next(line.split()[0] for line in instructions(dockerfile, "COPY") if line.startswith("requirements/"))
        text = dockerfile.read_text()
        assert "--require-hashes" in text
        assert "--hash=sha256:" in (ROOT / lock).read_text()

    def test_compose_builds_it(self, dockerfile: Path) -> None:
        built = {service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service}
        assert f"deploy/{dockerfile.name}" in built


def test_no_service_runs_an_unpinned_image() -> None:
    for service in SERVICES.values():
        if "image" in service:
            assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", service["image"])


def test_every_volume_is_declared() -> None:
    used = {volume for name, service in SERVICES.items() if "volumes" in service for volume in mounts(name)}
    assert used == set(COMPOSE["volumes"])
