"""What every test may ask for: photographs, and one running service for the whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from portraits import public_portraits
from running import REPOSITORY, RunningService, start_service

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# By default an example that takes a fifth of a second fails its test, which says more of the machine than of the code.
# The same examples each time: a run says something of what was changed. --hypothesis-profile=new-examples draws others.
_PATIENT = settings(settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new-examples", _PATIENT)
settings.register_profile("same-examples", _PATIENT, derandomize=True, database=None)
settings.load_profile("same-examples")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--model-repository",
        type=Path,
        default=REPOSITORY,
        metavar="DIR",
        help="what the shared service serves; another pack's repository, exported and calibrated",
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of research photographs beside the project; skips where it is absent."""
    if not (SHARED / "data" / "lfw").is_dir():
        pytest.skip("needs ../shared/data, which is not here")
    return SHARED


@pytest.fixture(scope="session")
def lfw(shared: Path) -> Callable[[str, int], Path]:
    """``lfw("George_W_Bush", 1)``: path of that photograph of Labeled Faces in the Wild."""

    def find(name: str, number: int) -> Path:
        return shared / "data" / "lfw" / name / f"{name}_{number:04d}.jpg"

    return find


@pytest.fixture(scope="session")
def scene(shared: Path) -> Callable[[str], Path]:
    """``scene("compreface/017_0.jpg")``: path of that scene."""
    return lambda name: shared / "data" / "scenes" / name


@pytest.fixture(scope="session")
def portraits() -> dict[str, bytes]:
    """Two public-domain portraits that common wheels carry, as JPEG: "hopper" and "astronaut"."""
    return public_portraits()


@pytest.fixture(scope="session")
def service(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The real thing, started once: embedded Triton and proxy on free loopback ports."""
    repository = pytestconfig.getoption("model_repository").resolve()
    running = start_service(tmp_path_factory.mktemp("service"), model_repository=repository)
    yield running
    running.stop()
