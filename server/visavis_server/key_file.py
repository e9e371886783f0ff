"""The credentials file: that of a first start has one random key, which may use all contracts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

from visavis_proxy.credentials import Contract, Credentials, CredentialsInvalid
from visavis_proxy.secret_files import create_secret
from visavis_server.errors import CommandFailed

_HEAD = """\
# Who may call. One [[key]] table for each caller; read again at each start, and when the service gets SIGHUP.
# id: api_key or AccessKeyId. tier: Face++'s trial or formal. qps: requests per second. daily_quota: JD Cloud's.
"""


def random_key(
    contracts: Iterable[Contract] = tuple(Contract),
    *,
    tier: str = "formal",
    qps: float = 50,
    daily_quota: int = 100_000,
) -> str:
    """A whole ``[[key]]`` table in TOML, its id and secret new and random."""
    names = ", ".join(f'"{contract}"' for contract in contracts)
    lines = (
        "[[key]]",
        f'id = "{secrets.token_hex(16)}"',
        f'secret = "{secrets.token_urlsafe(32)}"',
        f"contracts = [{names}]",
        f'tier = "{tier}"',
        f"qps = {qps}",
        f"daily_quota = {daily_quota}",
    )
    return "".join(f"{line}\n" for line in lines)


def ensure_key_file(path: Path) -> bool:
    """Make the file unless it is there; returns whether it was made. See create_secret."""
    return create_secret(path, _HEAD + random_key())


def read_keys(path: Path) -> Credentials:
    """See Credentials.load.

    Raises:
        CommandFailed: nobody could call with these.
    """
    try:
        return Credentials.load(path)
    except CredentialsInvalid as error:
        raise CommandFailed(str(error)) from error
