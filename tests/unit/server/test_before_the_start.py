"""What is told before anything is started: settings, state, addresses, and what others can reach."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from visavis_proxy.contracts.aws.settings import AwsSettings
from visavis_proxy.settings import Settings
from visavis_server.borrowing import borrowed_triton
from visavis_server.compare import CompareOptions, compare
from visavis_server.cpu_runtime import CpuRuntime
from visavis_server.device import Device
from visavis_server.errors import CommandFailed
from visavis_server.exposure import exposure, unsigned_calls
from visavis_server.main import app
from visavis_server.ports import free_loopback_ports
from visavis_server.reaching import wait_for_listener
from visavis_server.serve import TRITON_LOG, ServeOptions, serve


def options(home: Path, **given: object) -> ServeOptions:
    """A service that would start its own Triton, if there were a model repository."""
    usual = {
        "host": "127.0.0.1",
        "port": 0,
        "workers": 1,
        "credentials": None,
        "model_repository": home / "nowhere",
        "data_dir": home / "data",
        "triton": None,
        "triton_metrics_port": None,
        "device": Device.CPU,
        "cpu_runtime": CpuRuntime.AUTO,
        "ready_file": None,
    }
    return ServeOptions(**{**usual, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("VISAVIS_STATE__URL", "redis://127.0.0.1:1/0", r"the Redis of VISAVIS_STATE__URL does not answer: "),
        ("VISAVIS_STATE__URL", "redis://127.0.0.1:none/0", r"VISAVIS_STATE__URL is no URL of a Redis: redis://host:"),
        ("VISAVIS_STATE__URL", "postgres://db", r"VISAVIS_STATE__URL must be sqlite:///absolute/path, redis://"),
        ("VISAVIS_STATE__URL", "sqlite:///dev/null/x.db", r"cannot keep state in /dev/null/x\.db: "),
        ("VISAVIS_STATE__ENCRYPTION_KEY", "short", r"VISAVIS_STATE__ENCRYPTION_KEY must be urlsafe base64 of 32 bytes"),
        (
            "VISAVIS_TRITON",
            "https://triton:8000",
            r"^VISAVIS_TRITON: an address is host:port, asked by gRPC, or http://",
        ),
        ("VISAVIS_TRITON", "http://triton:none", r"^VISAVIS_TRITON: an address is host:port"),
        ("VISAVIS_TRITON", "triton", r"^VISAVIS_TRITON: an address is host:port"),
        ("VISAVIS_MODEL_EXECUTION_LIMIT_S", "0", r"^VISAVIS_MODEL_EXECUTION_LIMIT_S: '0' is not a number of seconds"),
        ("VISAVIS_MODEL_EXECUTION_LIMIT_S", "30s", r"^VISAVIS_MODEL_EXECUTION_LIMIT_S: '30s' is not a number"),
        ("VISAVIS_MODEL_EXECUTION_LIMIT_S", "inf", r"^VISAVIS_MODEL_EXECUTION_LIMIT_S: 'inf' is not a number"),
        ("VISAVIS_AWS__AUTHORISATION", "AWS_IAM", r"did you mean VISAVIS_AWS__AUTHORIZATION\?"),
    ],
)
def test_a_wrong_setting_is_told_before_models_and_triton(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    """Nothing was started, and the missing model repository did not come first."""
    monkeypatch.setenv(name, value)
    with pytest.raises(CommandFailed, match=sentence) as refusal:
        serve(options(tmp_path))
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "data" / TRITON_LOG).exists()


def test_state_that_can_be_kept_lets_the_start_go_on(tmp_path: Path) -> None:
    """With everything else in order the missing model repository is what is told."""
    with pytest.raises(CommandFailed, match="is not the model repository"):
        serve(options(tmp_path))
    assert (tmp_path / "data" / "state.sqlite3").exists()


@pytest.mark.parametrize(
    ("made_for", "sentence"),
    [
        ({"identity": "others", "detector": {"sha256": "one"}}, "was calibrated for others, but these is loaded"),
        ({"identity": "these", "detector": {"sha256": "two"}}, "with the detector two, but one is loaded: run"),
    ],
)
def test_thresholds_of_other_models_are_told_before_a_worker_starts(
    tmp_path: Path, made_for: object, sentence: str
) -> None:
    """Of another embedder, or of the same one behind another detector."""
    (tmp_path / "models.json").write_text('{"identity": "these", "detector": {"sha256": "one"}}')
    points = {"models": made_for, "evidence": "", "operating_points": []}
    (tmp_path / "operating_points.json").write_text(json.dumps(points))
    with socket.create_server(("127.0.0.1", 0)) as triton:
        address = "{}:{}".format(*triton.getsockname())
        with pytest.raises(CommandFailed, match=sentence):
            serve(options(tmp_path, model_repository=tmp_path, triton=address))


def own_pack(home: Path) -> Path:
    """A repository with a pack of somebody's own, whole as the export sees it, and no thresholds."""
    graphs = {name: home / "models" / name / "1" / "model.onnx" for name in ("face_detector", "face_embedder")}
    for place in (home / "models" / "face_analysis" / "config.pbtxt", *graphs.values()):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"made up")
    sha256 = hashlib.sha256(b"made up").hexdigest()
    parts = {"detector": {"sha256": sha256}, "embedder": {"sha256": sha256}}
    record = {"pack": "own", "identity": "own-0123456789ab", **parts}
    (home / "models" / "models.json").write_text(json.dumps(record))
    return home / "models"


@pytest.mark.parametrize("command", ["serve", "compare"])
def test_a_pack_without_thresholds_is_told_before_a_key_or_a_triton_is_made(tmp_path: Path, command: str) -> None:
    """With the command that makes them."""
    models, picture = own_pack(tmp_path), tmp_path / "picture.jpg"
    picture.write_bytes(b"a picture")
    sentence = (
        f"{models} has no thresholds for own-0123456789ab: run `visavis calibrate DIR --model-repository {models}`"
    )
    comparison = CompareOptions(picture, picture, None, models, tmp_path / "data", Device.CPU, as_json=False)
    with pytest.raises(CommandFailed) as refusal:
        serve(options(tmp_path, model_repository=models)) if command == "serve" else compare(comparison)
    assert str(refusal.value) == sentence
    left = {path.name for path in (tmp_path / "data").iterdir()}
    assert not left & {"credentials.toml", TRITON_LOG, "triton-command.log"}


def test_an_address_where_nobody_listens_is_told_in_time() -> None:
    (port,) = free_loopback_ports(1)
    begun = time.monotonic()
    with pytest.raises(CommandFailed, match=rf"^nobody listens at 127\.0\.0\.1:{port} \(Connection refused\): "):
        wait_for_listener(f"127.0.0.1:{port}", patience_s=0.5)
    assert 0.3 < time.monotonic() - begun < 10


@pytest.mark.parametrize("address", ["name.invalid:8001", "http://name.invalid:8000", "two..dots:8001"])
def test_an_address_that_is_nobodys_is_told_the_same_way(address: str) -> None:
    with pytest.raises(CommandFailed, match=f"^nobody listens at {address} "):
        wait_for_listener(address, patience_s=0)


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_listener_that_comes_late_is_found(scheme: str) -> None:
    """Whoever opens the port within the patience is waited for, though he says nothing yet."""
    (port,) = free_loopback_ports(1)
    with socket.socket() as listener:

        def listen() -> None:
            listener.bind(("127.0.0.1", port))
            listener.listen()

        late = threading.Timer(0.4, listen)
        late.start()
        wait_for_listener(f"{scheme}127.0.0.1:{port}", patience_s=20)
        late.join()


@pytest.mark.parametrize("address", ["localhost", "https://localhost:8000", "http://localhost", "127.0.0.1:99999"])
def test_a_command_takes_no_address_that_is_none(tmp_path: Path, address: str) -> None:
    borrowed = borrowed_triton(address, repository=tmp_path, data_dir=tmp_path, device=Device.CPU)
    with pytest.raises(CommandFailed, match=f"^--triton {address}: an address is host:port"), borrowed:
        pass
    with pytest.raises(CommandFailed, match=f"^--triton {address}: an address is host:port"):
        serve(options(tmp_path, triton=address))


def test_what_lies_open_beyond_loopback_is_one_line() -> None:
    """It names the address and what to do, and AWS calls where they were opened on purpose."""
    line = exposure(Settings(host="0.0.0.0"))
    assert line.startswith("listening on 0.0.0.0, for others too: /health and /metrics need no key")
    assert "put TLS in front" in line
    assert "\n" not in line
    assert "AWS calls, /health" in exposure(Settings(host="::", aws=AwsSettings(authorization="NONE")))


def test_who_may_call_unsigned_is_one_line_where_nobody_has_said_it() -> None:
    """On loopback alone, and only while the setting is unset."""
    line = unsigned_calls(Settings())
    assert line is not None
    assert "VISAVIS_AWS__AUTHORIZATION=AWS_IAM" in line
    assert "\n" not in line
    assert unsigned_calls(Settings(host="0.0.0.0")) is None
    for setting in ("NONE", "AWS_IAM"):
        assert unsigned_calls(Settings(aws=AwsSettings(authorization=setting))) is None


def test_others_are_warned_of_before_anything_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line stands on standard error beyond loopback, and on loopback there is none."""
    for host, warned in (("0.0.0.0", True), ("127.0.0.1", False)):
        with pytest.raises(CommandFailed):
            serve(options(tmp_path, host=host))
        assert capsys.readouterr().err.startswith("listening on 0.0.0.0") is warned


def test_the_version_names_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--version`` tells the distribution's version and the identity that templates carry, or that there is none."""
    monkeypatch.setenv("VISAVIS_MODEL_REPOSITORY", str(tmp_path))
    without = CliRunner().invoke(app, ["--version"])
    assert (without.exit_code, without.output) == (0, f"visavis 0.1.0, no models in {tmp_path}\n")
    (tmp_path / "models.json").write_text('{"identity": "opencv-0123456789ab"}')
    assert CliRunner().invoke(app, ["--version"]).output == "visavis 0.1.0, models opencv-0123456789ab\n"


def test_the_number_of_workers_has_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads it, and the settings do not take it for a slip of the pen."""
    monkeypatch.setenv("VISAVIS_WORKERS", "3")
    with pytest.raises(CommandFailed, match="is not the model repository"):
        serve(options(tmp_path))
    monkeypatch.setenv("VISAVIS_WORKERS", "0")
    refused = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["serve"])
    assert refused.exit_code == 2
    assert "VISAVIS_WORKERS" in refused.stderr
