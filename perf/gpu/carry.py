"""What perf/gpu/bench.sh needs on a host without a network, in parts of a size that can be carried there.

Here, after the graphs were made::

    python perf/gpu/carry.py pack PARTS [--megabytes 60] [--with-cuda]

Every part is a folder of its own, ``PARTS/0001`` and so on, with one file. There, with the parts in any place::

    cat PARTS/*/part | tar --extract --directory .
    PYTHON=$PWD/.gpu/python/bin/python3 perf/gpu/bench.sh --wheels .gpu/wheels --host-cuda

``.gpu`` then holds the wheels, and this Python, for the host's own may lack its shared library. Without ``--with-cuda``
CUDA and cuDNN stay behind, more than a gigabyte.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from visavis_server.installation import find_libpython

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(__file__).with_name("packages.txt")
#: For gpu/choices.py, made by ``visavis export --model-repository DIR --pack opencv --precision fp16``.
HALF_PRECISION = ROOT / ".cache" / "perf" / "half-precision"
#: What is not for a host that has CUDA.
_CUDA = re.compile(r"nvidia_(?!pytriton)")
#: The processor's onnxruntime, which other packages bring: it has the same import name.
_OTHER = re.compile(r"onnxruntime-(?!gpu)")
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34, 35, 38, 39)),
    "manylinux2014_x86_64",
)
_BESIDES = ("hatchling>=1.27", "editables>=0.5", "perf-analyzer>=2.60")
_PYTHON_WITHOUT = {"test", "idlelib", "tkinter", "site-packages", "dist-packages", "__pycache__"}


class PartWriter:
    """A file that goes on in the next part where one is full."""

    def __init__(self, folder: Path, size: int) -> None:
        """``size``: bytes of a part at most."""
        self._folder, self._size = folder, size
        self._count, self._left = 0, 0
        self._part: IO[bytes] | None = None

    def write(self, data: bytes) -> int:
        """Take all of it."""
        rest = memoryview(data)
        while rest:
            if self._left == 0:
                self._next_part()
            assert self._part is not None  # noqa: S101 (there is a next one)
            taken = self._part.write(rest[: self._left])
            self._left -= taken
            rest = rest[taken:]
        return len(data)

    def close(self) -> None:
        """The last part may be shorter."""
        if self._part is not None:
            self._part.close()

    def _next_part(self) -> None:
        self.close()
        self._count += 1
        path = self._folder / f"{self._count:04}" / "part"
        path.parent.mkdir(parents=True)
        self._part, self._left = path.open("wb"), self._size


def wheels(folder: Path, *, with_cuda: bool) -> list[Path]:
    """Download for this Python what bench.sh installs, and what that needs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    gpu = "onnxruntime-gpu[cuda,cudnn]>=1.24" if with_cuda else "onnxruntime-gpu>=1.24"
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", version]
    command += ["--implementation", "cp", *platforms, "--dest", str(folder)]
    subprocess.run([*command, "--requirement", str(PACKAGES), gpu, *_BESIDES], check=True)
    found = sorted(folder.glob("*.whl"))
    return [path for path in found if not _OTHER.match(path.name) and (with_cuda or not _CUDA.match(path.name))]


def built(repository: Path, half_precision: Path) -> Iterator[Path]:
    """What no checkout has: the graphs and what belongs to them, and the whole repository in half precision, if any."""
    for pattern in ("*/1/model.onnx", "models.json", "operating_points.json"):
        yield from sorted(repository.glob(pattern))
    yield from sorted(path for path in half_precision.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def python_files() -> Iterator[tuple[Path, str]]:
    """The interpreter, its shared library and its standard library, with their places below a prefix."""
    prefix = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    yield prefix / "bin" / version, "bin/python3"
    # Triton's stubs look for it there.
    yield find_libpython() / f"lib{version}.so.1.0", f"lib/lib{version}.so.1.0"
    library = prefix / "lib" / version
    for path in sorted(library.rglob("*")):
        parts = path.relative_to(library).parts
        if path.is_file() and not _PYTHON_WITHOUT.intersection(parts) and not parts[0].startswith("config-"):
            yield path, path.relative_to(prefix).as_posix()


def pack(target: Path, size: int, *, with_cuda: bool) -> int:
    """Write the parts; how many."""
    models = list(built(ROOT / "model_repository", HALF_PRECISION))
    if len(models) < 4:
        raise SystemExit("the graphs are not made: visavis export")
    if target.exists():
        raise SystemExit(f"{target} is there already")
    with tempfile.TemporaryDirectory() as folder:
        found = wheels(Path(folder), with_cuda=with_cuda)
        writer = PartWriter(target, size)
        # Wheels are compressed already.
        with tarfile.open(fileobj=writer, mode="w|") as archive:  # type: ignore[call-overload]
            for path in found:
                archive.add(path, f".gpu/wheels/{path.name}")
            for path in models:
                archive.add(path, path.relative_to(ROOT).as_posix())
            for path, place in python_files():
                archive.add(path.resolve(), f".gpu/python/{place}", recursive=False)
        writer.close()
    return len(list(target.iterdir()))


def main() -> None:
    """One line with what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=["pack"])
    parser.add_argument("target", type=Path)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--with-cuda", action="store_true")
    given = parser.parse_args()
    parts = pack(given.target, given.megabytes << 20, with_cuda=given.with_cuda)
    sys.stdout.write(f"{parts} parts in {given.target}\n")


if __name__ == "__main__":
    main()
