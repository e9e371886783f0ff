"""The command ``visavis``. What a subcommand needs is imported when it is called: ``--help`` answers at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from visavis_server import keys, tokens
from visavis_server.cores import usable_cores
from visavis_server.cpu_runtime import CpuRuntime
from visavis_server.data_dir_option import USUAL_DATA_DIR, DataDir
from visavis_server.device import Device
from visavis_server.errors import CommandFailed
from visavis_server.own_programs import module_command
from visavis_server.own_repository import checkout, default_repository, own_repository

app = typer.Typer(
    name="visavis",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="tokens")

_ADDRESS = "[http://]HOST:PORT"
#: For a command that was told to stop.
_LAST_WORDS_S = 10
_STANDARD_ERROR = 2
#: Not 2, which a line that the command does not take has.
_NO_FACE = 3

_REPOSITORY = "VISAVIS_MODEL_REPOSITORY"
ModelRepository = Annotated[
    Path | None,
    typer.Option(
        envvar=_REPOSITORY,
        help="What Triton reads; graphs are made if needed.  [default: the checkout's, else the data directory's]",
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="What the models run on.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from visavis_server.version import version

        typer.echo(version(Path(_with_repository(os.environ)[_REPOSITORY])))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and the models, and exit."
        ),
    ] = False,
) -> None:
    """Face comparison on NVIDIA Triton behind four vendors' documented APIs."""


def default_workers(cores: int) -> int:
    """The models need the cores more than the proxy does."""
    return max(1, min(8, cores // 4))


@app.command()
def serve(
    host: Annotated[str, typer.Option(envvar="VISAVIS_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="VISAVIS_PORT", help="0 takes a free one.", min=0, max=65535)] = 8080,
    workers: Annotated[
        int | None,
        typer.Option(
            envvar="VISAVIS_WORKERS", help="Processes of the proxy.  [default: a quarter of the cores]", min=1
        ),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(envvar="VISAVIS_CREDENTIALS", help="TOML file of keys.  [default: made in the data directory]"),
    ] = None,
    model_repository: ModelRepository = None,
    triton: Annotated[
        str | None,
        typer.Option(metavar=_ADDRESS, envvar="VISAVIS_TRITON", help="A Triton that runs already: gRPC, or HTTP."),
    ] = None,
    device: DeviceOption = Device.AUTO,
    triton_metrics_port: Annotated[
        int | None,
        typer.Option(
            envvar="VISAVIS_TRITON_METRICS_PORT",
            help="Of the Triton started here, on 127.0.0.1.  [default: a free one]",
            min=1,
            max=65535,
        ),
    ] = None,
    cpu_runtime: Annotated[
        CpuRuntime,
        typer.Option(envvar="VISAVIS_CPU_RUNTIME", help="What runs the graphs on a CPU; auto: the faster, measured."),
    ] = CpuRuntime.AUTO,
    data_dir: DataDir = USUAL_DATA_DIR,
    ready_file: Annotated[
        Path | None, typer.Option(help="JSON with addresses and process ids, written when ready.")
    ] = None,
) -> None:
    """Start everything on this machine and serve until Ctrl-C."""
    from visavis_server.serve import ServeOptions
    from visavis_server.serve import serve as run

    run(
        ServeOptions(
            host=host,
            port=port,
            workers=workers or default_workers(usable_cores()),
            credentials=credentials,
            model_repository=model_repository or default_repository(data_dir),
            data_dir=data_dir,
            triton=triton,
            triton_metrics_port=triton_metrics_port,
            device=device,
            cpu_runtime=cpu_runtime,
            ready_file=ready_file,
        )
    )


@app.command()
def compare(
    probe: Annotated[Path, typer.Argument(help="A picture.")],
    reference: Annotated[Path, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    triton: Annotated[
        str | None,
        typer.Option(
            "--triton",
            "--server",
            metavar=_ADDRESS,
            help="A Triton: gRPC, or HTTP.  [default: a running service's, or one's own]",
        ),
    ] = None,
    model_repository: ModelRepository = None,
    device: DeviceOption = Device.AUTO,
    data_dir: DataDir = USUAL_DATA_DIR,
) -> None:
    """Compare the largest faces of two pictures; status 3 if one has none."""
    from visavis_server.compare import CompareOptions
    from visavis_server.compare import compare as run

    both_have_faces = run(
        CompareOptions(
            probe=probe,
            reference=reference,
            triton=triton,
            model_repository=model_repository or default_repository(data_dir),
            data_dir=data_dir,
            device=device,
            as_json=as_json,
        )
    )
    if not both_have_faces:
        raise typer.Exit(_NO_FACE)


_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASS_ON, add_help_option=False)
def export(context: typer.Context) -> None:
    """Make the models' graphs; `visavis export --help` has its options."""
    environment, arguments = _with_repository(os.environ), context.args
    named = any(argument.startswith(("--model-repository", "--help")) for argument in arguments)
    if not named and Path(environment[_REPOSITORY]) == own_repository(_data_dir(environment)):
        from visavis_server.state import make_data_dir

        make_data_dir(_data_dir(environment))
        arguments = ["--refresh", *arguments]
    _become("visavis_export", arguments, environment)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def packs(context: typer.Context) -> None:
    """List the packs of models: licence, dimensions, accuracy, and which one is in place."""
    _become("visavis_export", ["packs", *context.args], _with_repository(os.environ))


@app.command(context_settings=_PASS_ON, add_help_option=False)
def pairs(context: typer.Context) -> None:
    """Draw a list of pairs in folds from a directory of photographs, for `visavis evaluate --pairs`."""
    _become("visavis_accuracy", ["pairs", *context.args], os.environ)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Measure this machine, from a checkout; `visavis bench --help` has its commands."""
    root = checkout()
    if root is None:
        raise CommandFailed("the bench runs from a checkout of the project alone, where `make bench` starts it")
    place = root / "perf"
    path = os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH"))))
    _become("visavis_perf", context.args, {**os.environ, "PYTHONPATH": path})


def measure(
    context: typer.Context,
    triton: Annotated[
        str | None,
        typer.Option(metavar=_ADDRESS, help="A Triton: gRPC, or HTTP.  [default: a running service's, or one's own]"),
    ] = None,
    model_repository: ModelRepository = None,
    data_dir: DataDir = USUAL_DATA_DIR,
) -> None:
    """Run a command of visavis_accuracy in front of a Triton that may be started for it alone."""
    from visavis_server.borrowing import borrowed_triton

    repository = model_repository or default_repository(data_dir)
    arguments = [str(context.info_name), *context.args, "--model-repository", str(repository)]
    program = module_command("visavis_accuracy")
    # A Triton takes its time to start: what is wrong with the line comes first.
    status = subprocess.run([*program, "--check", *arguments], check=False).returncode
    if status or "--help" in context.args:
        raise typer.Exit(status)
    with borrowed_triton(triton, repository=repository, data_dir=data_dir, device=Device.AUTO) as address:
        status = _finish([*program, *arguments, "--triton", address])
    raise typer.Exit(status)


def _finish(program: list[str]) -> int:
    """The status it ends with. Ctrl-C reaches it too, and it has a sentence to say before it goes."""
    with subprocess.Popen(program) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            try:
                return child.wait(timeout=_LAST_WORDS_S)
            except subprocess.TimeoutExpired:
                child.kill()
                raise KeyboardInterrupt from None


for _name, _help in {
    "evaluate": "Measure error rates on a directory of photographs: table, JSON, plots, a page.",
    "calibrate": "Make thresholds from a directory of photographs of your own.",
    "splits": "Check that thresholds hold on people they were not made from.",
    "contracts": "Measure the false match rate at every threshold that a vendor's document prints.",
    "recall": "Measure which share of faces is found, by size, turn and light.",
    "resolution": "Measure what alignment from the whole picture gains over the detector's frame, and costs.",
}.items():
    app.command(_name, help=_help, context_settings=_PASS_ON, add_help_option=False)(measure)


def _with_repository(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, the model repository named in it: programs of ours that know no data directory read it there."""
    return {_REPOSITORY: str(default_repository(_data_dir(environment))), **environment}


def _data_dir(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("VISAVIS_DATA_DIR", USUAL_DATA_DIR))


def _become(module: str, arguments: list[str], environment: Mapping[str, str]) -> None:
    """Hand this process over to another of our programs."""
    sys.stdout.flush()
    os.execve(sys.executable, module_command(module, *arguments), dict(environment))  # noqa: S606 (no shell is wanted)


def main() -> None:
    """Run the command line: a failure is one sentence and status 1."""
    try:
        app()
    except CommandFailed as error:
        from visavis_server.line_writing import LAST_WORDS_S, say

        # The process ends, whether or not anybody reads it: whoever started a service may start it again.
        say(_STANDARD_ERROR, f"visavis: {error}", wait_s=LAST_WORDS_S)
        raise SystemExit(1) from error
