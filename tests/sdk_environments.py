"""The vendors' own clients live in virtual environments of their own: their requirements clash.

``sdk_python("aliyun")`` makes ``.venvs/aliyun`` from the hashed lock ``requirements/sdk-aliyun.txt`` (once; again
when the lock changes) and gives the path of its Python. A test runs a client script with it as a subprocess.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def sdk_python(name: str) -> Path:
    """Path of the interpreter that can import that vendor's client."""
    lock = ROOT / "requirements" / f"sdk-{name}.txt"
    home = ROOT / ".venvs" / name
    stamp = home / ".made-from"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    python = home / "bin" / "python"
    home.parent.mkdir(exist_ok=True)
    with (home.parent / f".{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest:
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "-r", lock], check=True, env={**os.environ, "PYTHONPATH": ""})
            stamp.write_text(digest)
    return python
