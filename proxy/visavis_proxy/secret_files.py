"""Files that hold secrets: made for their owner, read where nobody else, but perhaps a group, can read them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

#: Not the group's reading: a user other than root has no other way to a Secret that Kubernetes mounts.
_TOO_OPEN: Final = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP


class SecretExposed(Exception):
    """Others can read or change it; the text is a sentence for the operator, without the secret."""


def read_secret(path: Path) -> str:
    """The text of a file.

    Raises:
        SecretExposed: see there.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    with path.open(encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & _TOO_OPEN:
            raise SecretExposed(
                f"{path} holds secrets, and others can read it or its group can write it: chmod 600 {path}"
            )
        return file.read()


def create_secret(path: Path, text: str) -> bool:
    """Make the file with mode 0600, in a folder with mode 0700, unless it is there; returns whether it was made.

    It appears whole or not at all: it is written aside, then linked, so whoever comes first wins.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True
