"""The pod of deploy/kubernetes/cpu, by its own lines on this machine's Triton: filled, warm, asked, ended in order.

Its images cannot be run here; what they would run, and what it may do, is the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest
from deploying import DEPLOY
from kubernetes_files import container, rendered
from running import REPOSITORY, RunningService, start_service

from visavis_server.installation import TritonInstallation
from visavis_server.ports import free_loopback_ports

POD = rendered("cpu")
#: As the manifests drop all capabilities, and let none be gained; who is not root has none.
BOUNDED = () if os.geteuid() else ("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
CORES = 2


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled by the export's script, with this checkout's finished repository as what its image was built with."""
    home = tmp_path_factory.mktemp("export")
    app, models = home / "app", home / "models"
    (app / "cache").mkdir(parents=True)
    models.mkdir()
    shutil.copytree(REPOSITORY, app / "finished", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(DEPLOY / "fill-models.sh", app)
    path = TritonInstallation.find().environment()["PATH"]
    environment = {"PATH": path, "XDG_CACHE_HOME": str(home / "cache"), "CORES": str(CORES)}
    subprocess.run([app / "fill-models.sh", models], env=environment, check=True)
    return models


@pytest.fixture(scope="module")
def triton(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Triton that was started by the container's arguments, but for places and ports."""
    home = tmp_path_factory.mktemp("triton")
    installation = TritonInstallation.find()
    _, *arguments = container(POD, "triton")["args"]
    http, metrics = free_loopback_ports(2)
    here = {"--model-repository": models, "--http-port": http, "--metrics-port": metrics}
    line = [
        f"{name}={here.get(name, value)}" if value else name for name, _, value in (a.partition("=") for a in arguments)
    ]
    command = [*BOUNDED, str(installation.server), *line, f"--backend-directory={installation.assemble(home)}"]
    given = {each["name"]: each["value"] for each in container(POD, "triton")["env"]}
    log = home / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=installation.environment() | given, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        wait_ready(http, process, log)
        yield f"http://127.0.0.1:{http}"
        process.terminate()
        grace_s = int(next(word.partition("=")[2] for word in arguments if word.startswith("--exit-timeout-secs=")))
        assert process.wait(grace_s + 20) == 0
    finally:
        # Whatever failed: itself, and the processes of its models.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("Triton did not start:\n" + log.read_text("utf-8", "replace")[-4000:])


@pytest.fixture(scope="module")
def proxy(models: Path, triton: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """With the settings of the manifests, but for places, addresses, and a state of this machine's."""
    own = {"VISAVIS_TRITON": triton, "VISAVIS_HOST": "127.0.0.1", "VISAVIS_DRAIN_S": "0"}
    settings = POD["ConfigMap"]["data"] | own
    places = {"VISAVIS_MODEL_REPOSITORY", "VISAVIS_CREDENTIALS", "VISAVIS_DATA_DIR", "VISAVIS_PORT"}
    environment = {name: value for name, value in settings.items() if name not in places}
    arguments = container(POD, "proxy")["args"]
    service = start_service(tmp_path_factory.mktemp("proxy"), arguments, environment, model_repository=models)
    yield service
    assert service.stop() == 0


def test_triton_has_the_instances_of_its_cores(triton: str) -> None:
    """As the export's script set them; and its health is what the probes ask for."""
    for model, count in (("image_decoder", 2), ("face_detector", CORES), ("face_embedder", CORES)):
        config = httpx.get(f"{triton}/v2/models/{model}/config", timeout=20).json()
        assert sum(group["count"] for group in config["instance_group"]) == count
    for probe in ("startupProbe", "livenessProbe"):
        asked = container(POD, "triton")[probe]["exec"]["command"][-1]
        assert httpx.get(triton + asked.partition(":8000")[2], timeout=20).status_code == 200


def test_the_proxy_compares_in_front_of_it(proxy: RunningService, portraits: dict[str, bytes]) -> None:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = container(POD, "proxy")[probe]["httpGet"]["path"]
        assert httpx.get(proxy.url + path, timeout=20).status_code == 200
    keys = {"api_key": proxy.key_id, "api_secret": proxy.secret}
    files = {f"image_file{n}": portraits[name] for n, name in ((1, "hopper"), (2, "astronaut"))}
    answer = httpx.post(f"{proxy.url}/facepp/v3/compare", data=keys, files=files, timeout=20)
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["confidence"] < answer.json()["thresholds"]["1e-3"]
