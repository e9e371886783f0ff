"""``visavis serve``: from nothing to a service that answers, and back."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoints, OperatingPointsInvalid
from visavis_proxy.face_tokens import check_state
from visavis_proxy.models import ModelsInvalid, read_models
from visavis_proxy.settings import Settings, SettingsInvalid, read_settings
from visavis_proxy.state import StateUnavailable
from visavis_server.cores import usable_cores
from visavis_server.cpu_runtime import CpuRuntime, check_installed, models_for_openvino
from visavis_server.device import Device, choose_device
from visavis_server.errors import CommandFailed, ExportFailed, PortTaken
from visavis_server.execution_limit import execution_limit
from visavis_server.exposure import exposure, unsigned_calls
from visavis_server.guard import die_with_parent
from visavis_server.installation import TritonInstallation
from visavis_server.key_file import ensure_key_file, read_keys
from visavis_server.line_writing import say
from visavis_server.logs import configure_logs
from visavis_server.numbers_folder import numbers_folder
from visavis_server.own_programs import module_command
from visavis_server.own_repository import own_repository
from visavis_server.ports import check_loopback_port
from visavis_server.reaching import check_address, wait_for_listener
from visavis_server.state import STATE_FILE, ServedModels, ServingState, make_data_dir
from visavis_server.supervisor import Plan, Supervisor
from visavis_server.triton import EmbeddedTriton, TritonPorts

#: Within the data directory.
TRITON_LOG = "triton.log"
_BACKLOG = 2048
_STANDARD_OUTPUT = 1
_IN_FLIGHT = "VISAVIS_MAX_IN_FLIGHT"
#: What a core finishes in 0.28 s, at about 35 ms a picture: more of them would only wait; fewer, and a gap
#: between two arrivals idles it. With a card a core takes 8 ms, since detector and embedder are not its work.
_IN_FLIGHT_A_CORE = {Device.CPU: 8, Device.GPU: 32}
#: So many wait before each graph on a card (`max_queue_size`): no more are let in, or some would be refused half way.
_MOST_IN_FLIGHT = {Device.CPU: None, Device.GPU: 512}


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command was told."""

    host: str
    port: int
    workers: int
    credentials: Path | None
    model_repository: Path
    data_dir: Path
    #: ``host:port`` (gRPC) or ``http://host:port`` of somebody else's Triton, or None for the embedded one.
    triton: str | None
    #: On 127.0.0.1; None takes a free one. Of no effect where Triton is somebody else's.
    triton_metrics_port: int | None
    device: Device
    cpu_runtime: CpuRuntime
    ready_file: Path | None


def serve(options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        CommandFailed: it cannot serve; the text says why.
    """
    # It means: read the keys anew. Until the workers can, they are read later anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = _settings(options)
    configure_logs(settings.log_format, logging.WARNING)
    if options.triton is not None:
        check_address(options.triton)
    with (
        _alone_in(options.data_dir),
        listen(options.host, options.port) as listener,
        numbers_folder() as numbers,
    ):
        _check_state(settings)
        _check_given_keys(options)
        if not settings.on_loopback:
            typer.echo(exposure(settings), err=True)
        _prepare_models(options)
        key_file = _key_file(options)
        ports = TritonPorts.free(metrics=options.triton_metrics_port)
        plan = _plan(options, listener, key_file, ports, numbers)
        if plan.make_triton is not None:
            address = f"http://127.0.0.1:{ports.metrics}/metrics"
            typer.echo(f"starting Triton, which writes to {options.data_dir / TRITON_LOG}; its metrics: {address}")
        line = f"ready: {plan.url}  keys: {key_file}  try: {_command()} compare A.jpg B.jpg"
        lines = "\n".join(filter(None, (line, unsigned_calls(settings))))
        # From here on a reader that stands still must not hold up what watches Triton and the workers.
        supervisor = Supervisor(plan, on_ready=lambda: say(_STANDARD_OUTPUT, lines), drain_s=settings.drain_s)
        asyncio.run(supervisor.run())


def _prepare_models(options: ServeOptions) -> None:
    """See to it that the models are there and usable, and that a Triton can be started here, or answers elsewhere.

    Raises:
        CommandFailed: something of it is not; the text says what.
    """
    if options.triton is None:
        TritonInstallation.find()
        execution_limit()
        if options.triton_metrics_port is not None:
            check_loopback_port(options.triton_metrics_port)
        check_installed(options.cpu_runtime, options.device)
        export(options.model_repository, options.data_dir)
    elif not (options.model_repository / "models.json").is_file():
        raise CommandFailed(
            f"{options.model_repository}/models.json is missing: it names the models behind {options.triton}"
        )
    else:
        wait_for_listener(options.triton)
    usable_models(options.model_repository)


def _command() -> str:
    """How this program was called, so that what it suggests can be typed as it stands."""
    program = Path(sys.argv[0])
    return str(program) if program.name == "visavis" else "visavis"


@contextlib.contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: a second service would take the first one's logs, counts and address file.

    Raises:
        CommandFailed: another service holds it, or see make_data_dir.
    """
    make_data_dir(data_dir)
    with (data_dir / ".serving.lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            running = ServingState.read(data_dir / STATE_FILE)
            where = f" ({running.url}, process {running.pid})" if running else ""
            raise CommandFailed(
                f"another service uses {data_dir}{where}: stop it, or give this one a --data-dir of its own"
            ) from None
        yield


def _plan(options: ServeOptions, listener: socket.socket, key_file: Path, ports: TritonPorts, numbers: Path) -> Plan:
    """``numbers``: where the workers count together."""
    port = listener.getsockname()[1]
    device = choose_device(options.device) if options.triton is None else options.device
    # Once: a Triton that is started again runs the models as the first one did.
    here = options.triton is None and device is Device.CPU
    openvino = models_for_openvino(options.cpu_runtime, options.model_repository, typer.echo) if here else frozenset()
    log = options.data_dir / TRITON_LOG
    if log.exists():
        log.replace(log.with_suffix(".log.1"))

    def make_triton() -> EmbeddedTriton:
        return EmbeddedTriton(options.model_repository, log=log, device=device, ports=ports, openvino=openvino)

    triton = options.triton or f"127.0.0.1:{ports.grpc}"
    environment = dict(os.environ) | {
        "VISAVIS_HOST": options.host,
        "VISAVIS_PORT": str(port),
        # Dearer for a worker by gRPC: docs/architecture.md.
        "VISAVIS_TRITON": options.triton or f"http://127.0.0.1:{ports.http}",
        "VISAVIS_MODEL_REPOSITORY": str(options.model_repository.resolve()),
        "VISAVIS_CREDENTIALS": str(key_file.resolve()),
        "VISAVIS_DATA_DIR": str(options.data_dir.resolve()),
        "PROMETHEUS_MULTIPROC_DIR": str(numbers.resolve()),
        **in_flight(options, device),
        # A worker multiplies small matrices: threads that spin while they wait for more would take the models' cores.
        "OPENBLAS_NUM_THREADS": "1",
    }
    return Plan(
        listener=listener,
        url=local_url(options.host, port),
        workers=options.workers,
        environment=environment,
        triton=triton,
        make_triton=None if options.triton else make_triton,
        model_repository=options.model_repository,
        models=ServedModels.of(options.model_repository),
        state_files=tuple(filter(None, (options.data_dir / STATE_FILE, options.ready_file))),
    )


def in_flight(options: ServeOptions, device: Device, cores: int = usable_cores()) -> dict[str, str]:
    """How many pictures a worker lets in, unless that is set: what this machine finishes in some 0.3 s.

    Nothing where Triton was not started here (`--triton`), on whatever machine: its cores and cards are not known.
    """
    if options.triton or _IN_FLIGHT in os.environ:
        return {}
    a_core, most = _IN_FLIGHT_A_CORE[device], _MOST_IN_FLIGHT[device]
    together = a_core * cores if most is None else min(a_core * cores, most)
    return {_IN_FLIGHT: str(max(_IN_FLIGHT_A_CORE[Device.CPU], together // options.workers))}


def _keys(options: ServeOptions) -> Path:
    """The given credentials, or those of the data directory."""
    return options.credentials or options.data_dir / "credentials.toml"


def _check_given_keys(options: ServeOptions) -> None:
    """Look at what is there before the models, which take their time."""
    path = _keys(options)
    if options.credentials is not None or path.exists():
        read_keys(path)


def _key_file(options: ServeOptions) -> Path:
    """The credentials to use, made at the first start, and not before the service has all else that it needs."""
    path = _keys(options)
    try:
        if options.credentials is None and ensure_key_file(path):
            typer.echo(f"made a key for you: {path}")
    except OSError as error:
        raise CommandFailed(str(error)) from error
    read_keys(path)
    return path


def _settings(options: ServeOptions) -> Settings:
    """What the workers will read; here once, so that a mistake is told once, and before anything is started.

    Raises:
        CommandFailed: see read_settings.
    """
    try:
        return read_settings().model_copy(update={"host": options.host, "data_dir": options.data_dir})
    except SettingsInvalid as error:
        raise CommandFailed(str(error)) from None


def _check_state(settings: Settings) -> None:
    """See check_state.

    Raises:
        CommandFailed: state cannot be kept as it is set.
    """
    try:
        asyncio.run(check_state(settings))
    except (SettingsInvalid, StateUnavailable) as error:
        raise CommandFailed(str(error)) from None


def usable_models(repository: Path) -> tuple[ModelIdentity, OperatingPoints]:
    """See read_models.

    Raises:
        CommandFailed: pictures cannot be compared with them.
    """
    try:
        return read_models(repository)
    except (ModelsInvalid, OperatingPointsInvalid) as error:
        raise CommandFailed(str(error)) from None


def export(model_repository: Path, data_dir: Path) -> None:
    """Make the graphs that are missing or stale, and fill the data directory's own repository; shows the progress.

    Raises:
        ExportFailed: there is no repository to fill, or the export failed, in its own words above.
    """
    # Another folder without configurations is a slip of the pen, and not to be filled.
    is_whole = (model_repository / "face_analysis" / "config.pbtxt").is_file()
    is_own = model_repository == own_repository(data_dir)
    if not (is_whole or is_own):
        raise ExportFailed(
            f"{model_repository} is not the model repository: name one with --model-repository, "
            "or make one there with `visavis export`"
        )
    command = module_command("visavis_export", "--quiet", "--model-repository", str(model_repository))
    # What lies in the data directory came with a release; another release wants its own.
    command += ["--refresh"] if is_own else []
    status = subprocess.run(command, check=False, preexec_fn=die_with_parent).returncode
    if status in {-signal.SIGINT, 128 + signal.SIGINT}:
        raise KeyboardInterrupt
    if status != 0:
        raise ExportFailed(f"the export of the models failed with status {status}; its own words stand above")


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one.

    Raises:
        PortTaken: somebody else listens there, or the address is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((address[0], port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error


def local_url(host: str, port: int) -> str:
    """Where this machine reaches a service that listens on ``host``."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not bound here)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
