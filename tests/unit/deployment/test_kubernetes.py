"""deploy/kubernetes: what one part says of another, of our programs, of the images and of Triton, is so."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from deploying import DEPLOY, ROOT, bytes_of, flags_of, instructions, is_tritons, serve_flags
from fakes import make_services
from kubernetes_files import FLAVOURS, FOLDER, container, containers, pod, rendered

from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app
from visavis_proxy.credentials import Credentials
from visavis_proxy.sealing import new_key, open_sealer
from visavis_proxy.setting_names import unknown_names
from visavis_proxy.settings import Settings, read_settings
from visavis_server import processes, tuning
from visavis_server.key_file import ensure_key_file
from visavis_server.triton import check_shared_memory

Objects = dict[str, dict[str, Any]]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture(params=FLAVOURS)
def objects(request: pytest.FixtureRequest) -> Objects:
    return rendered(request.param)


def environment_of(objects: Objects) -> dict[str, str]:
    """The proxy's, with secrets as they may be."""
    secrets = {"url": "redis://:secret@valkey:6379/0", "encryption-key": new_key()}
    given = {
        each["name"]: secrets[each["valueFrom"]["secretKeyRef"]["key"]] for each in container(objects, "proxy")["env"]
    }
    return {**objects["ConfigMap"]["data"], **given}


def triton_flags(objects: Objects) -> dict[str, str]:
    program, *flags = container(objects, "triton")["args"]
    assert program == "tritonserver"
    return flags_of(flags)


def probes(of: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: value for name, value in of.items() if name.endswith("Probe")}


def answer_to(path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = create_app(make_services(FakeEngine({})))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            return await http.get(path)

    return asyncio.run(ask())


class TestObjects:
    def test_everything_means_the_pods_of_the_deployment(self, objects: Objects) -> None:
        deployment = objects["Deployment"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selectors = [deployment["spec"]["selector"]["matchLabels"], objects["Service"]["spec"]["selector"]]
        selectors.append(objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
        selectors += [each["labelSelector"]["matchLabels"] for each in pod(objects)["topologySpreadConstraints"]]
        for selector in selectors:
            assert selector
            assert selector.items() <= labels.items()
        target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
        assert (target["apiVersion"], target["kind"]) == (deployment["apiVersion"], deployment["kind"])
        assert target["name"] == deployment["metadata"]["name"]
        assert "replicas" not in deployment["spec"], "they would be set back at every apply"

    def test_an_eviction_leaves_a_pod(self, objects: Objects) -> None:
        least = objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
        assert least > objects["PodDisruptionBudget"]["spec"]["maxUnavailable"]

    def test_the_service_leads_to_the_proxys_port(self, objects: Objects) -> None:
        (port,) = objects["Service"]["spec"]["ports"]
        (own,) = container(objects, "proxy")["ports"]
        assert port["targetPort"] == own["name"]
        assert str(own["containerPort"]) == objects["ConfigMap"]["data"]["VISAVIS_PORT"]
        assert instructions(DEPLOY / "proxy.Dockerfile", "EXPOSE") == [str(own["containerPort"])]

    def test_kustomize_makes_the_same_of_it(self, objects: Objects) -> None:
        """But for the digest in the name of the settings."""
        if shutil.which("kubectl") is None:
            pytest.skip("kubectl is not installed")
        flavour = "cpu" if "model-config-name" in triton_flags(objects) else "gpu"
        command = ["kubectl", "kustomize", str(FOLDER / flavour)]
        made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        made = re.sub(r"(visavis-settings)-[0-9a-z]{10}\b", r"\1", made)
        theirs = {each["kind"]: each for each in yaml.safe_load_all(made)}
        theirs["ConfigMap"].pop("apiVersion")
        assert theirs == objects


class TestPod:
    def test_triton_is_warm_before_the_proxy_and_there_until_it_has_ended(self, objects: Objects) -> None:
        """As a sidecar is; and what it reads is there before."""
        assert [each["name"] for each in containers(objects)] == ["models", "triton", "proxy"]
        assert "restartPolicy" not in container(objects, "models")
        assert container(objects, "triton")["restartPolicy"] == "Always"
        assert container(objects, "triton")["startupProbe"]["exec"]["command"][-1].endswith("/v2/health/ready")

    def test_there_is_time_to_end_in_order(self, objects: Objects) -> None:
        drain = float(objects["ConfigMap"]["data"]["VISAVIS_DRAIN_S"])
        triton = int(triton_flags(objects)["exit-timeout-secs"])
        assert pod(objects)["terminationGracePeriodSeconds"] >= drain + processes._GRACE_S + 5 + triton

    def test_every_mount_has_its_volume_and_every_volume_its_mount(self, objects: Objects) -> None:
        volumes = {volume["name"] for volume in pod(objects)["volumes"]}
        assert {mount["name"] for each in containers(objects) for mount in each["volumeMounts"]} == volumes

    def test_shared_memory_is_enough_for_triton_and_leaves_room_for_the_rest(self, objects: Objects) -> None:
        triton = container(objects, "triton")
        (name,) = (mount["name"] for mount in triton["volumeMounts"] if mount["mountPath"] == "/dev/shm")
        (volume,) = (each["emptyDir"] for each in pod(objects)["volumes"] if each["name"] == name)
        assert volume["medium"] == "Memory"
        size = bytes_of(volume["sizeLimit"])
        check_shared_memory(size)
        # Decoder and aligner, one for each core.
        per_instance = tuning.FLAGS["backend-config=python,shm-default-byte-size"]
        assert 4 * 2 * int(triton["resources"]["requests"]["cpu"]) * int(per_instance) <= size
        assert 4 * size <= bytes_of(triton["resources"]["limits"]["memory"])

    def test_none_has_more_than_it_needs(self, objects: Objects) -> None:
        """And nobody is root."""
        spec = pod(objects)
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        for each in containers(objects):
            bounds = each["securityContext"]
            assert (bounds["allowPrivilegeEscalation"], bounds["readOnlyRootFilesystem"]) == (False, True)
            assert bounds["capabilities"] == {"drop": ["ALL"]}
            assert bytes_of(each["resources"]["requests"]["memory"]) <= bytes_of(each["resources"]["limits"]["memory"])

    def test_each_runs_as_its_image_has_it(self, objects: Objects) -> None:
        for each in containers(objects):
            context = pod(objects)["securityContext"] | each["securityContext"]
            (name,) = re.findall(r"/(\w+):", each["image"])
            *_, user = instructions(DEPLOY / f"{name}.Dockerfile", "USER")
            assert user == f"{context['runAsUser']}:{context['runAsGroup']}"

    def test_images_are_the_projects_and_of_its_version(self, objects: Objects) -> None:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        for each in containers(objects):
            assert re.fullmatch(rf"[\w./-]+/(export|triton|proxy):{re.escape(version)}", each["image"])

    def test_a_gpu_is_asked_for_where_there_is_to_be_one(self) -> None:
        limits = {flavour: container(rendered(flavour), "triton")["resources"]["limits"] for flavour in FLAVOURS}
        assert limits["gpu"]["nvidia.com/gpu"] == "1"
        assert "nvidia.com/gpu" not in limits["cpu"]
        assert "nvidia" not in str(pod(rendered("cpu")))


class TestTriton:
    def test_every_flag_is_one_of_tritons(self, objects: Objects) -> None:
        for name in triton_flags(objects):
            assert is_tritons(name), name

    @pytest.mark.parametrize("flavour", FLAVOURS)
    def test_it_is_tuned_as_the_launchers_own(self, flavour: str) -> None:
        objects = rendered(flavour)
        wanted = {**tuning.FLAGS, **(tuning.CPU_FLAGS if flavour == "cpu" else {})}
        flags = triton_flags(objects)
        assert {name: flags.get(name) for name in wanted} == {name: str(value) for name, value in wanted.items()}
        assert set(tuning.SWITCHES) <= set(flags)
        assert flavour == "cpu" or not set(tuning.CPU_FLAGS) & set(flags)
        environment = {each["name"]: each["value"] for each in container(objects, "triton")["env"]}
        assert {name: environment.get(name) for name in tuning.ENVIRONMENT} == tuning.ENVIRONMENT

    def test_it_is_asked_where_it_answers_and_by_nobody_outside(self, objects: Objects) -> None:
        flags = triton_flags(objects)
        address = f"http://{flags['http-address']}:{flags['http-port']}"
        assert flags["http-address"] == "127.0.0.1"
        assert flags["allow-grpc"] == "false"
        assert objects["ConfigMap"]["data"]["VISAVIS_TRITON"] == address
        for probe in probes(container(objects, "triton")).values():
            asked = probe["exec"]["command"][-1].split()[-1]
            assert re.fullmatch(re.escape(address) + "/v2/health/(ready|live)", asked)
        (metrics,) = container(objects, "triton")["ports"]
        assert (flags["metrics-address"], flags["metrics-port"]) == ("0.0.0.0", str(metrics["containerPort"]))

    def test_it_reads_what_the_export_fills_for_its_cores(self, objects: Objects) -> None:
        (entrypoint,) = instructions(DEPLOY / "export.Dockerfile", "ENTRYPOINT")
        place = ast.literal_eval(entrypoint)[-1]
        for name in ("models", "triton", "proxy"):
            mounts = {mount["name"]: mount for mount in container(objects, name)["volumeMounts"]}
            assert mounts["models"]["mountPath"] == place
            assert mounts["models"].get("readOnly", False) is (name != "models")
        assert triton_flags(objects)["model-repository"] == place
        (cores,) = container(objects, "models")["env"]
        source = cores["valueFrom"]["resourceFieldRef"]
        assert (cores["name"], source["resource"]) == ("CORES", "requests.cpu")
        assert "cpu" in container(objects, source["containerName"])["resources"]["requests"]
        assert "${CORES:-" in (DEPLOY / "fill-models.sh").read_text()


class TestProxy:
    def test_its_settings_are_accepted(self, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
        environment = environment_of(objects)
        assert unknown_names(Settings, environment) == []
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings = read_settings()
        assert open_sealer(settings)
        assert not settings.on_loopback
        (source,) = container(objects, "proxy")["envFrom"]
        assert source["configMapRef"]["name"] == objects["ConfigMap"]["metadata"]["name"]

    def test_its_places_are_mounted_and_it_writes_where_it_may(self, objects: Objects) -> None:
        data = objects["ConfigMap"]["data"]
        mounts = {mount["mountPath"]: mount for mount in container(objects, "proxy")["volumeMounts"]}
        assert mounts[data["VISAVIS_MODEL_REPOSITORY"]]["readOnly"]
        assert mounts[str(Path(data["VISAVIS_CREDENTIALS"]).parent)]["readOnly"]
        assert "readOnly" not in mounts[data["VISAVIS_DATA_DIR"]]

    def test_it_is_started_with_flags_that_the_command_takes(self, objects: Objects) -> None:
        flags = {word for word in container(objects, "proxy")["args"] if word.startswith("--")}
        assert flags
        assert flags <= serve_flags()

    def test_its_probes_ask_what_it_answers(self, objects: Objects) -> None:
        """The one that restarts it asks nothing of Triton."""
        found = {kind: probe["httpGet"]["path"] for kind, probe in probes(container(objects, "proxy")).items()}
        live, ready = "/health/live", "/health/ready"
        assert found == {"startupProbe": live, "livenessProbe": live, "readinessProbe": ready}
        assert [answer_to(path).status_code for path in found.values()] == [200, 200, 200]

    def test_it_may_read_its_keys_as_kubernetes_mounts_them(self, objects: Objects, tmp_path: Path) -> None:
        (secret,) = (volume["secret"] for volume in pod(objects)["volumes"] if "secret" in volume)
        assert pod(objects)["securityContext"]["fsGroup"] == pod(objects)["securityContext"]["runAsGroup"]
        keys = tmp_path / "credentials.toml"
        ensure_key_file(keys)
        os.chmod(keys, secret["defaultMode"])
        assert len(Credentials.load(keys)) == 1

    def test_the_secrets_are_those_that_the_documentation_makes(self, objects: Objects) -> None:
        made = re.findall(r"kubectl create secret generic (\S+)((?:\\\n|[^\n])*)", OPERATIONS)
        keys = {name: set(re.findall(r"--from-(?:file|literal)=([\w.-]+)", rest)) for name, rest in made}
        (volume,) = (volume["secret"]["secretName"] for volume in pod(objects)["volumes"] if "secret" in volume)
        data = objects["ConfigMap"]["data"]
        asked = {volume: {Path(data["VISAVIS_CREDENTIALS"]).name}}
        for each in container(objects, "proxy")["env"]:
            reference = each["valueFrom"]["secretKeyRef"]
            asked.setdefault(reference["name"], set()).add(reference["key"])
        assert asked == keys


class TestScaling:
    def test_on_gpus_it_follows_what_is_under_way(self) -> None:
        """To half of what a pod lets in, by a number that the service tells."""
        objects = rendered("gpu")
        (metric,) = objects["HorizontalPodAutoscaler"]["spec"]["metrics"]
        _, workers = container(objects, "proxy")["args"]
        let_in = int(workers) * Settings().max_in_flight
        assert int(metric["pods"]["target"]["averageValue"]) == let_in / 2
        numbers = answer_to("/metrics").text
        assert re.search(rf"^{metric['pods']['metric']['name']} ", numbers, re.MULTILINE)

    def test_on_cpus_it_follows_tritons_cores(self) -> None:
        objects = rendered("cpu")
        (metric,) = objects["HorizontalPodAutoscaler"]["spec"]["metrics"]
        source = metric["containerResource"]
        assert source["name"] in container(objects, source["container"])["resources"]["requests"]
