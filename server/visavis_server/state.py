"""A small file that tells other programs of this machine where the service is, while it serves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from visavis_client.address import TritonAddress
from visavis_server.errors import CommandFailed, ModelsUnreadable

#: Within the data directory.
STATE_FILE = "serving.json"


@dataclass(frozen=True, slots=True)
class TritonState:
    """Addresses are ``host:port``; of somebody else's Triton one alone is known, of gRPC or of HTTP."""

    grpc: str | None
    http: str | None = None
    metrics: str | None = None
    pid: int | None = None

    @classmethod
    def at(cls, text: str) -> Self:
        """What is known of a Triton at ``host:port`` (gRPC) or ``http://host:port``."""
        address = TritonAddress.parse(text)
        return cls(None, http=address.authority) if address.by_http else cls(address.authority)

    @property
    def address(self) -> str:
        """Where a command asks it: by gRPC where that is known, else ``http://host:port``."""
        return self.grpc or f"http://{self.http}"


@dataclass(frozen=True, slots=True)
class ServingState:
    """Where the service is."""

    url: str
    triton: TritonState
    #: Of the supervisor.
    pid: int = field(default_factory=os.getpid)
    #: See models_digest; of what Triton was started with.
    models: str = ""

    def write(self, paths: Iterable[Path]) -> None:
        """Put it there at once: a reader sees the old or the new file.

        Raises:
            OSError: what went wrong with the last one that could not be written; the others were.
        """
        fault: OSError | None = None
        for path in paths:
            try:
                self._write(path)
            except OSError as error:
                fault = error
        if fault is not None:
            raise fault

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What a living supervisor has written there, or None."""
        try:
            told = json.loads(path.read_text("utf-8"))
            found = cls(told["url"], TritonState(**told["triton"]), told["pid"], told["models"])
            os.kill(found.pid, 0)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found

    @staticmethod
    def remove(paths: Iterable[Path]) -> None:
        """Take away what this process has written."""
        for path in paths:
            state = ServingState.read(path)
            if state is not None and state.pid == os.getpid():
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def make_data_dir(path: Path) -> None:
    """Make it, for its owner alone, unless it is there.

    Raises:
        CommandFailed: it is no directory, or nothing can be written there.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CommandFailed(f"{path} cannot be the data directory: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class ServedModels:
    """What a service was started with, by the sha256 of two files of its repository; "" for one that is not there."""

    #: See models_digest.
    graphs: str
    #: ``operating_points.json``, by which workers tell how alike two faces are.
    thresholds: str

    @classmethod
    def of(cls, repository: Path) -> Self:
        """What would be served now.

        Raises:
            ModelsUnreadable: a file is there, perhaps.
        """
        return cls(models_digest(repository), _digest(repository / "operating_points.json"))


def models_digest(repository: Path) -> str:
    """sha256 of the repository's ``models.json``, which names its graphs; "" where there is none.

    Raises:
        ModelsUnreadable: it is there, perhaps.
    """
    return _digest(repository / "models.json")


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ModelsUnreadable(f"{error.filename or path} cannot be read: {error.strerror}") from error
