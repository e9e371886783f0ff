"""Scenarios as argument files: perf_analyzer has no configuration file of its own.

A line ``#: key = value`` tells the runner what perf_analyzer cannot say: the set of ``pictures``; a ``sweep`` (a flag
and its values, one run each); a ``sweep-of-limit`` (values are shares of the machine's limit); ``needs = gpu``;
``extended = yes`` for those that only ``--extended`` runs; ``judged = yes`` where a target is judged by the best load,
which is then repeated between bursts of the limit; ``protocol = grpc`` where Triton is not asked by HTTP, as the proxy
does. Other lines are flags; ``{input}`` is the input file.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visavis_perf.pictures import PICTURE_SETS

_KEYS = {"pictures", "sweep", "sweep-of-limit", "needs", "extended", "judged", "protocol"}
#: As perf_analyzer calls them.
PROTOCOLS = ("http", "grpc")


class ScenarioInvalid(Exception):
    """An argument file is not as described; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One argument file."""

    name: str
    purpose: str
    model: str
    pictures: str
    #: Flags of every run, ``{input}`` not yet replaced.
    flags: tuple[str, ...]
    sweep_flag: str
    sweep_values: tuple[str, ...]
    of_limit: bool
    needs_gpu: bool
    extended: bool
    judged: bool
    protocol: str

    @property
    def batch(self) -> int:
        """Pictures of one request, where the batch is not what is swept."""
        return int(self.flags[self.flags.index("-b") + 1]) if "-b" in self.flags else 1

    def values(self, limit_images_per_s: float) -> list[str]:
        """The sweep's values, shares of the limit turned into rates."""
        if not self.of_limit:
            return list(self.sweep_values)
        return [f"{float(share) * limit_images_per_s:.1f}" for share in self.sweep_values]


def read_scenario(path: Path) -> Scenario:
    """Read an argument file.

    Raises:
        ScenarioInvalid: a key is unknown, or something needed is missing.
    """
    told: dict[str, str] = {}
    purpose: list[str] = []
    flags: list[str] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#:"):
            key, _, value = line[2:].partition("=")
            if key.strip() not in _KEYS or not value.strip():
                raise ScenarioInvalid(f"{path.name}:{number}: a line `#: key = value` knows {', '.join(sorted(_KEYS))}")
            told[key.strip()] = value.strip()
        elif line.startswith("#"):
            purpose.append(line[1:].strip())
        else:
            flags += shlex.split(line)
    return _scenario(path, " ".join(purpose), told, flags)


def _scenario(path: Path, purpose: str, told: Mapping[str, str], flags: list[str]) -> Scenario:
    if told.get("pictures") not in PICTURE_SETS:
        raise ScenarioInvalid(f"{path.name}: `#: pictures = …` names none of {', '.join(PICTURE_SETS)}")
    if "-m" not in flags[:-1]:
        raise ScenarioInvalid(f"{path.name}: no model is named with -m")
    if ("sweep" in told) == ("sweep-of-limit" in told):
        raise ScenarioInvalid(f"{path.name}: exactly one of `sweep` and `sweep-of-limit` is needed")
    if told.get("protocol", PROTOCOLS[0]) not in PROTOCOLS:
        raise ScenarioInvalid(f"{path.name}: `#: protocol = …` names none of {', '.join(PROTOCOLS)}")
    flag, *values = (told.get("sweep") or told["sweep-of-limit"]).split()
    if not values:
        raise ScenarioInvalid(f"{path.name}: the sweep of {flag} has no values")
    return Scenario(
        name=path.stem,
        purpose=purpose,
        model=flags[flags.index("-m") + 1],
        pictures=told["pictures"],
        flags=tuple(flags),
        sweep_flag=flag,
        sweep_values=tuple(values),
        of_limit="sweep-of-limit" in told,
        needs_gpu=told.get("needs") == "gpu",
        extended="extended" in told,
        judged="judged" in told,
        protocol=told.get("protocol", PROTOCOLS[0]),
    )


def read_scenarios(folder: Path) -> dict[str, Scenario]:
    """Every argument file of a folder, by name."""
    return {path.stem: read_scenario(path) for path in sorted(folder.glob("*.args"))}
