"""docker-compose.yml: what one part of it says of another, of our programs and of Triton, is so."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import yaml
from deploying import (
    COMPOSE,
    DEPLOY,
    KEY,
    PASSWORD,
    ROOT,
    SERVICES,
    bytes_of,
    command_of,
    environment_of,
    flags_of,
    instructions,
    is_tritons,
    mounts,
    serve_flags,
)
from fakes import FakeState

from visavis_client.fakes import FAKE_MODEL
from visavis_proxy.face_tokens import open_face_tokens
from visavis_proxy.fetch import open_fetcher
from visavis_proxy.sealing import new_key, open_sealer
from visavis_proxy.setting_names import PREFIX, unknown_names
from visavis_proxy.settings import Settings, SettingsInvalid, read_settings
from visavis_server import processes, tuning
from visavis_server.errors import CommandFailed
from visavis_server.main import app
from visavis_server.ports import free_loopback_ports

GIVEN = {KEY: new_key(), PASSWORD: "0123abcd"}


def triton_flags() -> dict[str, str]:
    program, *flags = command_of("triton", GIVEN)
    assert program == "tritonserver"
    return flags_of(flags)


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.fixture
def proxy_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment = environment_of("proxy", GIVEN)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


class TestTriton:
    def test_every_flag_is_one_of_tritons(self) -> None:
        for name in triton_flags():
            assert is_tritons(name), name
        assert not is_tritons("model-repo")

    def test_it_is_tuned_as_the_launchers_own(self) -> None:
        flags = triton_flags()
        assert {name: flags.get(name) for name in tuning.FLAGS} == {n: str(v) for n, v in tuning.FLAGS.items()}
        assert set(tuning.SWITCHES) <= set(flags)
        environment = environment_of("triton", GIVEN)
        assert {name: environment.get(name) for name in tuning.ENVIRONMENT} == tuning.ENVIRONMENT

    def test_it_reads_the_configuration_for_gpus_unless_told_otherwise(self) -> None:
        """A name that no model has a file of means config.pbtxt; the other ones that may be asked for are there."""
        assert triton_flags()["model-config-name"] == "gpu"
        there = {path.stem for path in (ROOT / "model_repository").glob("*/configs/*.pbtxt")}
        assert "gpu" not in there
        (named,) = re.findall(r"TRITON_MODEL_CONFIG=(\w+)", (ROOT / "docker-compose.yml").read_text())
        assert named in there

    def test_it_reads_what_the_export_fills(self) -> None:
        (entrypoint,) = instructions(DEPLOY / "export.Dockerfile", "ENTRYPOINT")
        place = ast.literal_eval(entrypoint)[-1]
        assert place == mounts("export")["models"] == mounts("triton")["models"] == mounts("proxy")["models"]
        assert triton_flags()["model-repository"] == place
        assert SERVICES["triton"]["depends_on"] == {"export": {"condition": "service_completed_successfully"}}

    def test_its_health_is_asked_where_it_answers(self) -> None:
        port = triton_flags()["http-port"]
        assert SERVICES["triton"]["healthcheck"]["test"][-1].endswith(f" http://127.0.0.1:{port}/v2/health/ready")

    def test_it_may_finish_before_it_is_killed(self) -> None:
        assert int(triton_flags()["exit-timeout-secs"]) < seconds(SERVICES["triton"]["stop_grace_period"])

    def test_engines_are_kept_where_its_user_may_write(self) -> None:
        place = mounts("triton")["engines"]
        owner, group = SERVICES["triton"]["user"].split(":")
        dockerfile = (DEPLOY / "triton.Dockerfile").read_text()
        assert f"install --directory --owner {owner} --group {group} {place}\n" in dockerfile


class TestProxy:
    def test_every_variable_is_a_setting(self) -> None:
        names = [name for service in SERVICES.values() for name in service.get("environment", {})]
        names += re.findall(rf"{PREFIX}\w+", " ".join(instructions(DEPLOY / "proxy.Dockerfile", "ENV")))
        assert any(name.startswith(PREFIX) for name in names)
        assert unknown_names(Settings, names) == []

    def test_a_setting_in_the_file_of_secrets_reaches_it_and_it_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those that the file sets itself stay as they are."""
        more = {"VISAVIS_FETCH__REFUSED_NETWORKS": "64:ff9b:1::/48", "VISAVIS_PORT": "1"}
        for name, value in environment_of("proxy", GIVEN | more).items():
            monkeypatch.setenv(name, value)
        settings = read_settings()
        assert [str(network) for network in settings.fetch.refused_networks] == ["64:ff9b:1::/48"]
        assert settings.port == 8080
        for name in set(SERVICES) - {"proxy"}:
            assert not more.keys() & environment_of(name, GIVEN | more).keys()

    @pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose")
    def test_docker_compose_reads_it_so(self, tmp_path: Path) -> None:
        secrets = {**GIVEN, "VISAVIS_FETCH__REFUSED_NETWORKS": "64:ff9b:1::/48"}
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
        command = ["docker-compose", "--file", ROOT / "docker-compose.yml", "--project-directory", tmp_path, "config"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0, run.stderr
        told = yaml.safe_load(run.stdout)["services"]["proxy"]["environment"]
        assert told == environment_of("proxy", secrets)

    def test_its_settings_point_to_the_other_services(self, proxy_environment: dict[str, str]) -> None:
        settings = Settings()
        assert settings.triton == f"http://triton:{triton_flags()['http-port']}"
        assert settings.state.url is not None
        url = urlsplit(settings.state.url.get_secret_value())
        assert (url.scheme, url.hostname, url.password, url.port) == ("redis", "valkey", GIVEN[PASSWORD], 6379)
        for host in ("triton", "valkey"):
            assert set(SERVICES[host]["networks"]) <= set(SERVICES["proxy"]["networks"])
        assert str(settings.model_repository) == mounts("proxy")["models"]
        assert str(settings.data_dir) == mounts("proxy")["data"]
        assert not settings.on_loopback

    def test_what_it_opens_at_its_start_opens(self, proxy_environment: dict[str, str]) -> None:
        settings = read_settings()
        assert open_sealer(settings)
        assert open_face_tokens(settings, FakeState(), FAKE_MODEL)
        asyncio.run(open_fetcher(settings).close())

    def test_it_starts_as_far_as_the_models_that_its_volume_would_hold(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy_environment: dict[str, str]
    ) -> None:
        """With its own environment; only places are this machine's, and Triton is somebody who listens."""
        (tmp_path / "models.json").write_text("{}")
        with socket.create_server(("127.0.0.1", 0)) as triton:
            monkeypatch.setenv("VISAVIS_TRITON", "http://{}:{}".format(*triton.getsockname()))
            monkeypatch.delenv("VISAVIS_STATE__URL")
            monkeypatch.setenv("VISAVIS_PORT", "0")
            monkeypatch.setenv("VISAVIS_MODEL_REPOSITORY", str(tmp_path))
            monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path / "data"))
            with pytest.raises(CommandFailed, match=r"models\.json"):
                app(["serve", *command_of("proxy", GIVEN)], standalone_mode=False)

    @pytest.mark.parametrize("left_out", [KEY, PASSWORD])
    def test_docker_compose_asks_for_what_it_cannot_do_without(self, left_out: str) -> None:
        with pytest.raises(KeyError, match=left_out):
            environment_of("proxy", {name: value for name, value in GIVEN.items() if name != left_out})

    def test_without_the_key_it_would_not_start(
        self, monkeypatch: pytest.MonkeyPatch, proxy_environment: dict[str, str]
    ) -> None:
        monkeypatch.delenv(KEY)
        with pytest.raises(SettingsInvalid, match=KEY):
            open_sealer(read_settings())

    def test_its_port_is_one_and_the_same_everywhere(self, proxy_environment: dict[str, str]) -> None:
        proxy, port = SERVICES["proxy"], proxy_environment["VISAVIS_PORT"]
        (published,) = proxy["ports"]
        assert published == f"127.0.0.1:8080:{port}"
        assert f"http://127.0.0.1:{port}/health/ready" in proxy["healthcheck"]["test"][-1]
        assert instructions(DEPLOY / "proxy.Dockerfile", "EXPOSE") == [port]

    def test_it_is_started_with_flags_that_the_command_takes(self) -> None:
        flags = {word for word in SERVICES["proxy"]["command"] if word.startswith("--")}
        assert flags
        assert flags <= serve_flags()

    def test_it_may_finish_before_it_is_killed(self) -> None:
        """A worker has five seconds more than its requests."""
        assert seconds(SERVICES["proxy"]["stop_grace_period"]) > processes._GRACE_S + 5


class TestState:
    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        """Valkey's programs by Redis', whose line and configuration they take."""
        for name in ("server", "cli"):
            program = shutil.which(f"redis-{name}")
            if program is None:
                pytest.skip(f"redis-{name} is not installed")
            (tmp_path / f"valkey-{name}").symlink_to(program)
        return tmp_path

    @pytest.fixture
    def port(self, directory: Path) -> Iterator[int]:
        """Of a server that was started by the line of the file, in a folder of its own."""
        (port,) = free_loopback_ports(1)
        sh, dash_c, script, *words = command_of("valkey", GIVEN)
        assert "> /tmp/" in script
        script = script.replace("/tmp/", f"{directory}/")
        environment = {"PATH": f"{directory}:{os.environ['PATH']}", **environment_of("valkey", GIVEN)}
        line = [sh, dash_c, script, *words, "--port", str(port), "--bind", "127.0.0.1"]
        with subprocess.Popen(line, cwd=directory, env=environment, stdout=subprocess.DEVNULL) as server:
            try:
                self.wait(port, server)
                yield port
            finally:
                server.terminate()

    @staticmethod
    def wait(port: int, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while server.poll() is None and time.monotonic() < deadline:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail("it does not listen")

    def test_it_keeps_all_that_it_took_and_refuses_what_is_too_much(self, port: int) -> None:
        with redis.Redis(port=port, password=GIVEN[PASSWORD]) as client:
            told = client.config_get("*")
        assert (told["maxmemory-policy"], told["appendonly"], told["save"]) == ("noeviction", "yes", "")
        assert 2 * int(told["maxmemory"]) <= bytes_of(SERVICES["valkey"]["mem_limit"]), "its log is written anew"
        assert mounts("valkey") == {"valkey": "/data"}

    def test_who_has_no_password_is_refused(self, port: int, directory: Path) -> None:
        with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        assert (directory / "password.conf").stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("password", [GIVEN[PASSWORD], "another"])
    def test_it_is_healthy_only_for_who_may_ask(self, port: int, directory: Path, password: str) -> None:
        kind, test = SERVICES["valkey"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        environment = {"PATH": f"{directory}:{os.environ['PATH']}", **environment_of("valkey", {PASSWORD: password})}
        test = test.replace("valkey-cli", f"valkey-cli -p {port}")
        run = subprocess.run(["sh", "-c", test], env=environment, capture_output=True, check=False)
        assert (run.returncode == 0) is (password == GIVEN[PASSWORD])


class TestWhatEachMayDo:
    @pytest.mark.parametrize("name", SERVICES)
    def test_it_has_no_more_than_it_needs(self, name: str) -> None:
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert bytes_of(service["mem_limit"]) <= 32 << 30
        assert service["pids_limit"] > 0

    @pytest.mark.parametrize("name", SERVICES)
    def test_it_runs_as_somebody(self, name: str) -> None:
        service = SERVICES[name]
        users = instructions(ROOT / service["build"]["dockerfile"], "USER") if "build" in service else []
        user, _group = (service.get("user") or users[-1]).split(":")
        assert int(user) > 0

    def test_shared_memory_leaves_room_for_the_rest(self) -> None:
        triton = SERVICES["triton"]
        assert 4 * bytes_of(triton["shm_size"]) <= bytes_of(triton["mem_limit"])

    def test_triton_and_the_state_are_reached_by_the_proxy_alone(self) -> None:
        """Neither asks who comes for the first time, or asks only for a password."""
        closed = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
        for name in ("triton", "valkey"):
            assert "ports" not in SERVICES[name]
            assert set(SERVICES[name]["networks"]) <= closed
        assert {name for name in SERVICES if closed & set(SERVICES[name]["networks"])} == {"triton", "valkey", "proxy"}

    def test_no_service_runs_an_unpinned_image(self) -> None:
        for service in SERVICES.values():
            if "image" in service:
                assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", service["image"])

    def test_every_volume_and_network_is_declared_and_used(self) -> None:
        used = {volume for service in SERVICES.values() for volume in (e.split(":")[0] for e in service["volumes"])}
        assert used == set(COMPOSE["volumes"])
        assert {network for service in SERVICES.values() for network in service["networks"]} == set(COMPOSE["networks"])
