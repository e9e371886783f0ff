"""The README's lines do what they say with a key file as the first start makes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from visavis_proxy.credentials import Credentials
from visavis_server.key_file import ensure_key_file

README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_readmes_lines_read_the_made_key(tmp_path: Path) -> None:
    file = tmp_path / "credentials.toml"
    assert ensure_key_file(file)
    lines = [
        line for line in README.read_text("utf-8").splitlines() if line.startswith(("api_key=$(", "api_secret=$("))
    ]
    assert len(lines) == 2
    script = "\n".join(["set -eu", f'key="{file}"', *lines, 'printf "%s\\n%s\\n" "$api_key" "$api_secret"'])
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")
    key = Credentials.load(file).find(told[0])
    assert key is not None
    assert key.secret_is(told[1])
