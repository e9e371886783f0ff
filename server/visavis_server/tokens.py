"""``visavis tokens``: the templates behind face tokens, from the outside."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

app = typer.Typer(help="Templates behind face tokens.", no_args_is_help=True)


@app.command()
def purge(
    expired: Annotated[bool, typer.Option("--expired", help="Only those whose time is over.")] = False,
) -> None:
    """Delete the stored templates: every face_token that still resolves to one becomes invalid."""
    from visavis_proxy.face_tokens import purge_tokens
    from visavis_proxy.settings import SettingsInvalid, read_settings
    from visavis_proxy.state import StateUnavailable

    try:
        gone = asyncio.run(purge_tokens(read_settings(), expired_only=expired))
    except (SettingsInvalid, StateUnavailable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{gone} templates deleted")


@app.command()
def new_key() -> None:
    """Print a new key for VISAVIS_STATE__ENCRYPTION_KEY."""
    from visavis_proxy.sealing import new_key as make

    typer.echo(make())
