"""The credentials file: that of a first start has one random key, which may use all contracts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from visavis_proxy.credentials import Credentials, CredentialsInvalid
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
    """Make the file with mode 0600 unless it is there; returns whether it was made.

    It appears whole or not at all, and never over another's.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists():
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    text = _TEMPLATE.format(id=secrets.token_hex(16), secret=secrets.token_urlsafe(32))
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def check_keys(path: Path) -> None:
    """See Credentials.load.

    Raises:
        CommandFailed: nobody could call with these.
    """
    try:
        Credentials.load(path)
    except CredentialsInvalid as error:
        raise CommandFailed(str(error)) from error
