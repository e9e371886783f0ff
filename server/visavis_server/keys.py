"""``visavis keys``: a new key for the credentials file, and what such a file holds. Nothing here changes a file."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The keys of those who may call.", no_args_is_help=True)

_CONTRACTS = "facepp,aliyun,jdcloud,aws"


class Tier(StrEnum):
    """Face++'s two."""

    TRIAL = "trial"
    FORMAL = "formal"


@app.command()
def new(
    contracts: Annotated[
        str, typer.Option(metavar="NAME,…", help="Which it may use, commas between them.")
    ] = _CONTRACTS,
    qps: Annotated[float, typer.Option(help="Requests per second, all contracts together.")] = 50,
    tier: Annotated[Tier, typer.Option(help="Of Face++.")] = Tier.FORMAL,
    daily_quota: Annotated[int, typer.Option(help="JD Cloud's successful calls per day.", min=0)] = 100_000,
) -> None:
    """Print a [[key]] table with a random id and secret, for `>> credentials.toml`."""
    from visavis_proxy.credentials import Contract
    from visavis_server.key_file import random_key

    try:
        chosen = tuple(dict.fromkeys(Contract(name.strip()) for name in contracts.split(",")))
    except ValueError:
        raise typer.BadParameter(f"{contracts!r} is not a list of {_CONTRACTS}", param_hint="--contracts") from None
    if not (math.isfinite(qps) and qps > 0):
        raise typer.BadParameter(f"{qps:g} is not a number above 0", param_hint="--qps")
    # The blank line: what it is appended to may not end with a line's end.
    typer.echo("\n" + random_key(chosen, tier=tier, qps=qps, daily_quota=daily_quota), nl=False)
    typer.echo("visavis: once it is in the credentials file, SIGHUP has a running service read it", err=True)


@app.command("list")
def show(
    file: Annotated[Path, typer.Argument(help="The credentials, such as credentials.toml in the data directory.")],
) -> None:
    """Show ids, contracts and limits of a file's keys, never a secret."""
    from visavis_server.key_file import read_keys

    rows = [("id", "contracts", "tier", "qps", "daily quota", "disabled")]
    rows += [
        (key.id, ",".join(key.contracts), key.tier, f"{key.qps:g}", str(key.daily_quota), key.disabled)
        for key in read_keys(file)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
