"""The parts of the PyPI wheel ``nvidia-pytriton`` that make a Triton, put together as Triton wants them.

Only the files of the wheel are used, never its Python API.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from visavis_server import tuning
from visavis_server.errors import TritonMissing
from visavis_server.execution_limit import execution_limit

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_STUB = "triton_python_backend_stub"
#: What the models import it as.
_TIME_LIMIT = "visavis_time_limit.py"
#: What is copied for the ``onnxruntime`` backend: not the package's ``__init__.py``, which would make the folder a
#: second package named onnxruntime.
_ONNXRUNTIME_FILES = tuple(
    f"{name}.py"
    for name in (
        *("model", "session", "configuration", "openvino_session"),
        *("opening", "providers", "placement", "binding", "pinning", "endurance"),
    )
)


@dataclass(frozen=True, slots=True)
class TritonInstallation:
    """Where the wheel's parts and the Python that runs the models lie."""

    server: Path
    python_backend: Path
    stub: Path
    libraries: Path
    libpython_dir: Path

    @classmethod
    def find(cls) -> TritonInstallation:
        """Look into the running environment.

        Raises:
            TritonMissing: the wheel, its part for this Python, or the shared libpython is not there.
        """
        spec = importlib.util.find_spec("pytriton")
        if spec is None or spec.origin is None:
            raise TritonMissing(
                "the embedded Triton is not installed: install the extra `embedded` "
                "(in the project's folder: pip install '.[embedded,export]')"
            )
        package = Path(spec.origin).parent
        root = package / "tritonserver"
        stub = root / "python_backend_stubs" / _PYTHON / _STUB
        if not stub.is_file():
            raise TritonMissing(f"the embedded Triton cannot run models in Python {_PYTHON}: use Python 3.11 or 3.12")
        return cls(
            server=root / "bin" / "tritonserver",
            python_backend=root / "backends" / "python",
            stub=stub,
            libraries=package.parent / "nvidia_pytriton.libs",
            libpython_dir=find_libpython(),
        )

    def assemble(self, directory: Path) -> Path:
        """Make the backend directory below ``directory``; copies, since Triton refuses links that lead out of it."""
        backends = directory / "backends"
        python = backends / "python"
        shutil.copytree(self.python_backend, python, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(self.stub, python / _STUB)
        shutil.copy(Path(__file__).parent / "backends" / "time_limit.py", python / _TIME_LIMIT)
        onnxruntime = backends / "onnxruntime"
        onnxruntime.mkdir()
        for name in _ONNXRUNTIME_FILES:
            shutil.copy(Path(__file__).parent / "backends" / "onnxruntime" / name, onnxruntime / name)
        return backends

    def environment(self) -> dict[str, str]:
        """The environment for the server and for the Pythons within its stubs: nothing of the proxy's settings.

        Raises:
            CommandFailed: see execution_limit.
        """
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("VISAVIS_")}
        libraries = [str(self.libraries), str(self.libpython_dir), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return inherited | {
            "LD_LIBRARY_PATH": ":".join(libraries),
            # The Python within a stub heeds no PYTHON* variable: it takes library and packages of the first python3
            # that it finds here.
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            **tuning.ENVIRONMENT,
            **execution_limit(),
            # Whoever set it knows this machine.
            **{key: value for key, value in os.environ.items() if key == "GLIBC_TUNABLES"},
        }


def find_libpython() -> Path:
    """The directory with the shared library of the running Python.

    Raises:
        TritonMissing: there is none; the text says which package has it.
    """
    name = f"libpython{_PYTHON}.so.1.0"
    variables = (sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("MULTIARCH"))
    libdir, multiarch = (value or "" for value in variables)
    for place in (libdir, f"{libdir}/{multiarch}", f"{sys.base_prefix}/lib", f"/usr/lib/{multiarch}", "/usr/local/lib"):
        if (Path(place) / name).is_file():
            return Path(place)
    raise TritonMissing(
        f"{name} is missing: apt-get install libpython{_PYTHON}, or use a Python that was built with --enable-shared"
    )
