"""What the deployment files say, in the words of our programs, for the tests that hold the one against the other."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml

from visavis_server.installation import TritonInstallation
from visavis_server.main import app

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
KEY, PASSWORD = "VISAVIS_STATE__ENCRYPTION_KEY", "STATE_PASSWORD"


def instructions(dockerfile: Path, word: str) -> list[str]:
    return re.findall(rf"^{word} (.+)$", dockerfile.read_text(), re.MULTILINE)


def image_environment(dockerfile: str) -> dict[str, str]:
    """What ENV says, with the home that Docker gives to a user who is in no passwd."""
    lines = instructions(DEPLOY / dockerfile, "ENV")
    return {"HOME": "/", **dict(word.split("=", 1) for line in lines for word in shlex.split(line))}


def composed(value: Any, given: dict[str, str]) -> str:
    """A value as docker-compose hands it on; KeyError where it would ask for a variable of the operator's."""

    def value_of(match: re.Match[str]) -> str:
        name, separator, default = match[1], match[2], match[3]
        return given[name] if separator == ":?" else given.get(name) or default

    return re.sub(r"\$\{(\w+)(:\?|:-)([^}]*)\}", value_of, str(value)).replace("$$", "$")


def environment_of(service: str, given: dict[str, str]) -> dict[str, str]:
    """What a container is given where ``given`` are the lines of `.env`."""
    files = [composed(file, {}) for file in SERVICES[service].get("env_file", [])]
    assert set(files) <= {".env"}
    own = {name: composed(value, given) for name, value in SERVICES[service].get("environment", {}).items()}
    return {**(given if files else {}), **own}


def command_of(service: str, given: dict[str, str]) -> list[str]:
    return [composed(word, given) for word in SERVICES[service]["command"]]


def mounts(service: str) -> dict[str, str]:
    """Places by volume."""
    return {volume: place for volume, place, *_ in (entry.split(":") for entry in SERVICES[service]["volumes"])}


def bytes_of(amount: str) -> int:
    """``2g``, ``1gb``, ``2Gi`` and the like."""
    number, unit = re.fullmatch(r"(\d+)([kmg]?)(?:i|b)?", amount.lower()).groups()  # type: ignore[union-attr]
    return int(number) << {"": 0, "k": 10, "m": 20, "g": 30}[unit]


def flags_of(words: list[str]) -> dict[str, str]:
    """Triton's flags with their values; one of a backend by its whole name, as ``backend-config=python,x``."""
    flags = {}
    for word in words:
        name, value = re.fullmatch(r"--(backend-config=[^=]+|[^=]+)(?:=(.*))?", word).groups()  # type: ignore[union-attr]
        assert name not in flags, f"--{name} is given twice"
        flags[name] = value or ""
    return flags


@cache
def serve_flags() -> set[str]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {flag for parameter in commands["serve"].params for flag in parameter.opts}


@cache
def triton_help() -> str:
    installation = TritonInstallation.find()
    run = subprocess.run(
        [installation.server, "--help"], env=installation.environment(), capture_output=True, text=True, check=False
    )
    return run.stdout + run.stderr


def is_tritons(flag: str) -> bool:
    return re.search(rf"^  --{re.escape(flag.partition('=')[0])}\b", triton_help(), re.MULTILINE) is not None
