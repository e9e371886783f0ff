"""Files that hold secrets: read only where nobody but their owner, and perhaps a group, can read them."""

from __future__ import annotations

import os
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
