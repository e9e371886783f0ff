"""What Triton reads beside the graphs: the project's hand-written files, and in them the embedding's length.

NVIDIA's onnxruntime backend refuses a graph whose output is not as long as its configuration says, so that number
follows the pack. Nothing else of a file that is there is touched.
"""

from __future__ import annotations

import re
from pathlib import Path

from visavis_export.errors import RepositoryUnwritable
from visavis_export.repository import Repository

#: The project's own repository, where this runs from the source.
PROJECTS = Path(__file__).resolve().parents[2] / "model_repository"
_ENTRY, _EMBEDDER = "face_analysis/config.pbtxt", "face_embedder"
_LENGTH = re.compile(rb'(name:\s*"embedding"[^}]*?\bdims:\s*\[\s*)(-?\d+)(\s*\])')


def is_complete(repository: Repository) -> bool:
    """Whether Triton can load it: configurations stand beside the graphs."""
    return (repository.root / _ENTRY).is_file()


def configurations(repository: Repository, dimensions: int, source: Path = PROJECTS) -> dict[str, bytes]:
    """The files to write, by name: what a repository without configurations lacks; and wrong lengths put right.

    Raises:
        RepositoryUnwritable: a configuration does not say the length of `embedding` as ours do.
    """
    files = {} if is_complete(repository) else _missing(repository, source)
    embedders = {
        path.relative_to(repository.root).as_posix() for path in (repository.root / _EMBEDDER).rglob("*.pbtxt")
    }
    for name in sorted(embedders | {name for name in files if _is_embedders(name)}):
        data = files.get(name) or repository.read(name) or b""
        adapted = with_length(data, dimensions, repository.root / name)
        if adapted != data:
            files[name] = adapted
    return files


def with_length(data: bytes, dimensions: int, path: Path) -> bytes:
    """The configuration with that length of its output `embedding`.

    Raises:
        RepositoryUnwritable: it has no such output, or several.
    """
    adapted, found = _LENGTH.subn(rb"\g<1>%d\g<3>" % dimensions, data)
    if found != 1:
        raise RepositoryUnwritable(
            f"{path} does not say the length of its output `embedding` once: write dims: [ {dimensions} ] there."
        )
    return adapted


def _missing(repository: Repository, source: Path) -> dict[str, bytes]:
    """The project's hand-written files that are not there, version folders' placeholders included."""
    files = {}
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        wanted = path.suffix in {".pbtxt", ".py"} or path.name == ".gitkeep"
        if wanted and path.is_file() and not (repository.root / name).exists():
            files[name.as_posix()] = path.read_bytes()
    return files


def _is_embedders(name: str) -> bool:
    return name.startswith(f"{_EMBEDDER}/") and name.endswith(".pbtxt")
