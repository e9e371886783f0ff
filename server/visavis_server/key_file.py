"""The credentials file: that of a first start has one random key, which may use all contracts."""

from __future__ import annotations

import secrets
from pathlib import Path

from visavis_proxy.credentials import Credentials, CredentialsInvalid
from visavis_proxy.secret_files import create_secret
from visavis_server.errors import CommandFailed

_TEMPLATE = """\
# Who may call. One [[key]] table for each caller; read again at each start, and when the service gets SIGHUP.
# id: api_key or AccessKeyId. tier: Face++'s trial or formal. qps: requests per second. daily_quota: JD Cloud's.
[[key]]
id = "{id}"
secret = "{secret}"
contracts = ["facepp", "aliyun", "jdcloud", "aws"]
tier = "formal"
qps = 50
daily_quota = 100000
"""


def ensure_key_file(path: Path) -> bool:
    """Make the file unless it is there; returns whether it was made. See create_secret."""
    return create_secret(path, _TEMPLATE.format(id=secrets.token_hex(16), secret=secrets.token_urlsafe(32)))


def check_keys(path: Path) -> None:
    """See Credentials.load.

    Raises:
        CommandFailed: nobody could call with these.
    """
    try:
        Credentials.load(path)
    except CredentialsInvalid as error:
        raise CommandFailed(str(error)) from error
