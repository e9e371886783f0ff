"""``visavis tokens``: the templates behind face tokens, from the outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from visavis_server.data_dir_option import USUAL_DATA_DIR, DataDir
from visavis_server.errors import CommandFailed

if TYPE_CHECKING:
    from visavis_proxy.settings import Settings

app = typer.Typer(help="Templates behind face tokens.", no_args_is_help=True)


@app.command()
def purge(
    expired: Annotated[bool, typer.Option("--expired", help="Only those whose time is over.")] = False,
    data_dir: DataDir = USUAL_DATA_DIR,
) -> None:
    """Delete the stored templates: every face_token that still resolves to one becomes invalid.

    The data directory is the service's own, as `visavis serve` was told.
    """
    from visavis_proxy.face_tokens import purge_tokens
    from visavis_proxy.settings import SettingsInvalid, read_settings
    from visavis_proxy.state import StateUnavailable, store_name

    try:
        settings = read_settings().model_copy(update={"data_dir": data_dir})
        _check_that_state_is_there(settings)
        gone = asyncio.run(purge_tokens(settings, expired_only=expired))
    except (SettingsInvalid, StateUnavailable) as error:
        raise CommandFailed(str(error)) from error
    typer.echo(f"{gone} templates deleted from {store_name(settings)}")


def _check_that_state_is_there(settings: Settings) -> None:
    """Opening a store makes the file that is missing, and an empty one is not what anybody means to purge."""
    from visavis_proxy.state import state_file

    file = state_file(settings)
    try:
        is_there = file is None or file.is_file()
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from error
    if not is_there:
        raise CommandFailed(
            f"{file} is not there, and nothing was deleted: give the --data-dir that `visavis serve` has"
        )


@app.command()
def new_key() -> None:
    """Print a new key for VISAVIS_STATE__ENCRYPTION_KEY."""
    from visavis_proxy.sealing import new_key as make

    typer.echo(make())
