"""Operating points: the comparison threshold at a false match rate, with its evidence and the model it belongs to."""

from __future__ import annotations

import bisect
import itertools
import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from visavis_client.faces import ModelIdentity


class OperatingPointsInvalid(Exception):
    """The table cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold travels with its evidence."""

    false_match_rate: float
    threshold: float
    interval: tuple[float, float] | None = None
    extrapolated: bool = False


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Thresholds of one detector and embedder, by false match rate."""

    points: tuple[OperatingPoint, ...]
    model: ModelIdentity
    #: Where the numbers come from, for people.
    evidence: str

    def __post_init__(self) -> None:
        ordered = sorted(self.points, key=lambda p: -p.false_match_rate)
        if len(ordered) < 2 or any(not -1 < p.threshold < 1 for p in ordered):
            raise OperatingPointsInvalid("at least two operating points, thresholds between -1 and 1")
        if any(not 0 < p.false_match_rate < 1 for p in ordered):
            raise OperatingPointsInvalid("a false match rate lies between 0 and 1")
        for one, other in itertools.pairwise(ordered):
            if one.false_match_rate == other.false_match_rate:
                raise OperatingPointsInvalid(f"two thresholds at a false match rate of {one.false_match_rate:g}")
            if one.threshold >= other.threshold:
                raise OperatingPointsInvalid("a lower false match rate needs a higher threshold")
        object.__setattr__(self, "points", tuple(ordered))

    def threshold(self, false_match_rate: float) -> float:
        """The comparison score at which that share of non-mated pairs matches.

        A point's own threshold is given back bit for bit. Between points it is interpolated over the logarithm of
        the rate; outside them, continued.
        """
        for point in self.points:
            if point.false_match_rate == false_match_rate:
                return point.threshold
        rates = [-math.log10(p.false_match_rate) for p in self.points]
        wanted = -math.log10(false_match_rate)
        at = min(max(bisect.bisect_left(rates, wanted), 1), len(rates) - 1)
        low, high = self.points[at - 1], self.points[at]
        slope = (high.threshold - low.threshold) / (rates[at] - rates[at - 1])
        return low.threshold + slope * (wanted - rates[at - 1])

    @classmethod
    def load(cls, path: Path, model: ModelIdentity, *, detector: str) -> OperatingPoints:
        """Read ``operating_points.json``; a table of another embedder or another detector is refused.

        ``detector``: sha256 of the graph that is loaded. It decides what an embedder sees of a face, so thresholds
        are as much its own as the embedder's, whose digest ``model`` holds.

        Raises:
            OperatingPointsInvalid: missing, malformed, or of other models.
        """
        try:
            table = json.loads(path.read_text("utf-8"))
            points = tuple(
                OperatingPoint(
                    float(entry["false_match_rate"]),
                    float(entry["threshold"]),
                    tuple(entry["interval"]) if entry.get("interval") else None,
                    bool(entry.get("extrapolated", False)),
                )
                for entry in table["operating_points"]
            )
            identity = table["models"]["identity"]
            made_with = str(table["models"].get("detector", {}).get("sha256", "unknown"))
            evidence = str(table.get("evidence", table.get("data", "")))
        except FileNotFoundError as error:
            raise OperatingPointsInvalid(f"{path.parent} has no thresholds for {model}: {_calibrate(path)}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OperatingPointsInvalid(f"{path} {_fault(error)}: {_anew(path)}") from error
        if identity != model:
            raise OperatingPointsInvalid(f"{path} was calibrated for {identity}, but {model} is loaded: {_anew(path)}")
        if made_with != detector:
            raise OperatingPointsInvalid(
                f"{path} was calibrated with the detector {made_with[:12]}, but {detector[:12]} is loaded: "
                + _anew(path)
            )
        try:
            return cls(points, model, evidence)
        except OperatingPointsInvalid as error:
            raise OperatingPointsInvalid(f"{path} holds no usable thresholds ({error}): {_calibrate(path)}") from error


def _calibrate(path: Path) -> str:
    """A command that can be typed as it stands, but for the photographs' folder."""
    return f"run `visavis calibrate DIR --model-repository {shlex.quote(str(path.parent))}`"


def _anew(path: Path) -> str:
    """What helps against a table of other models. Only a pack with a table of its own has one to install again."""
    return (
        f"{_calibrate(path)}; where the pack comes with thresholds, as opencv in fp32 does, "
        f"`visavis export --force --model-repository {shlex.quote(str(path.parent))}` installs them"
    )


def _fault(error: Exception) -> str:
    """Why a file is no table of thresholds, without Python's words for it."""
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    if isinstance(error, json.JSONDecodeError):
        return f"is no table of thresholds (no JSON from line {error.lineno} on)"
    return "is no table of thresholds (not as `visavis calibrate` writes it)"
