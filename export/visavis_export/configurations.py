"""What Triton reads beside the graphs: the project's hand-written files, and in them what follows the pack.

That is the embedding's length, because NVIDIA's onnxruntime backend refuses a graph whose output is not as long as its
configuration says; and the aligner's switch for the second look. Nothing else of a file that is there is touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from visavis_export.errors import RepositoryUnwritable
from visavis_export.repository import Repository

#: The project's hand-written files: beside this package in a wheel, in their own folder of the source.
_PLACES = (Path(__file__).with_name("model_repository"), Path(__file__).resolve().parents[2] / "model_repository")
PROJECTS = next(filter(Path.is_dir, _PLACES), _PLACES[-1])
_ENTRY = "face_analysis/config.pbtxt"
_LENGTH = re.compile(rb'(name:\s*"embedding"[^}]*?\bdims:\s*\[\s*)(-?\d+)(\s*\])')
_SWITCH = re.compile(rb'(key:\s*"second_look"\s*,?\s*value:?\s*\{\s*string_value:\s*")(\w*)(")')


@dataclass(frozen=True, slots=True)
class Served:
    """What of a pack stands in the configurations."""

    #: Length of the embedding.
    dimensions: int
    #: Whether the aligner looks again where the detector finds no face.
    second_look: bool = True


@dataclass(frozen=True, slots=True)
class _Setting:
    """One value in the configurations of one model."""

    model: str
    pattern: re.Pattern[bytes]
    value: str
    #: The line of a configuration to show in error messages.
    wording: str

    def written(self, data: bytes, path: Path) -> bytes:
        """The configuration with this value.

        Raises:
            RepositoryUnwritable: it says no such thing, or says it several times.
        """
        adapted, found = self.pattern.subn(rb"\g<1>%s\g<3>" % self.value.encode(), data)
        if found != 1:
            raise RepositoryUnwritable(f"{path} does not say once what follows the pack: write {self.wording} there.")
        return adapted


def is_complete(repository: Repository) -> bool:
    """Whether Triton can load it: configurations stand beside the graphs."""
    return (repository.root / _ENTRY).is_file()


def configurations(
    repository: Repository, served: Served, source: Path = PROJECTS, *, refresh: bool = False
) -> dict[str, bytes]:
    """The files to write, by name: what a repository without configurations lacks; and what does not fit the pack.

    With ``refresh`` also what is another than the project's, of whatever release or hand.

    Raises:
        RepositoryUnwritable: a configuration does not say such a thing as ours do.
    """
    files = _of_project(source) if refresh or not is_complete(repository) else {}
    if not refresh:
        files = {name: data for name, data in files.items() if repository.read(name) is None}
    for setting in _settings(served):
        there = {path.relative_to(repository.root).as_posix() for path in _configurations_of(repository, setting.model)}
        new = {name for name in files if name.startswith(f"{setting.model}/") and name.endswith(".pbtxt")}
        for name in sorted(there | new):
            data = files.get(name) or repository.read(name) or b""
            adapted = setting.written(data, repository.root / name)
            if adapted != data:
                files[name] = adapted
    return {name: data for name, data in files.items() if data != repository.read(name)}


def _settings(served: Served) -> tuple[_Setting, ...]:
    length, switch = str(served.dimensions), "on" if served.second_look else "off"
    return (
        _Setting("face_embedder", _LENGTH, length, f"dims: [ {length} ] in its output `embedding`"),
        _Setting(
            "face_aligner",
            _SWITCH,
            switch,
            f'parameters [ {{ key: "second_look", value: {{ string_value: "{switch}" }} }} ]',
        ),
    )


def _configurations_of(repository: Repository, model: str) -> list[Path]:
    return list((repository.root / model).rglob("*.pbtxt"))


def _of_project(source: Path) -> dict[str, bytes]:
    """The project's hand-written files, version folders' placeholders included."""
    files = {}
    for path in sorted(source.rglob("*")):
        if path.is_file() and (path.suffix in {".pbtxt", ".py"} or path.name == ".gitkeep"):
            files[path.relative_to(source).as_posix()] = path.read_bytes()
    return files
