"""Commands borrow the Triton of the service that runs here, if its models are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis_server.borrowing import borrowed_triton
from visavis_server.device import Device
from visavis_server.errors import CommandFailed, ExportFailed
from visavis_server.state import STATE_FILE, ServingState, TritonState, models_digest


@pytest.fixture
def repositories(tmp_path: Path) -> tuple[Path, Path]:
    """That of the service that runs here, and one with other models and no configurations to start a Triton from."""
    served, other = tmp_path / "served", tmp_path / "other"
    for repository in (served, other):
        repository.mkdir()
        (repository / "models.json").write_text(f'{{"identity": "{repository.name}-0123456789ab"}}')
    state = ServingState("http://127.0.0.1:1", TritonState("127.0.0.1:2"), models=models_digest(served))
    state.write([tmp_path / STATE_FILE])
    return served, other


def test_the_services_triton_is_borrowed_for_its_own_models(tmp_path: Path, repositories: tuple[Path, Path]) -> None:
    with borrowed_triton(None, repository=repositories[0], data_dir=tmp_path, device=Device.CPU) as address:
        assert address == "127.0.0.1:2"


def test_a_service_whose_triton_is_known_by_http_lends_it_too(tmp_path: Path, repositories: tuple[Path, Path]) -> None:
    """As in docker-compose's proxy, which knows no other address."""
    state = ServingState(
        "http://127.0.0.1:1", TritonState.at("http://triton:8000"), models=models_digest(repositories[0])
    )
    state.write([tmp_path / STATE_FILE])
    with borrowed_triton(None, repository=repositories[0], data_dir=tmp_path, device=Device.CPU) as address:
        assert address == "http://triton:8000"


def test_a_data_directory_that_cannot_be_one_is_told_before_the_models_and_triton(
    tmp_path: Path, repositories: tuple[Path, Path]
) -> None:
    """The repository without configurations does not come first."""
    for place in (tmp_path / "served" / "models.json", tmp_path / "served" / "models.json" / "below"):
        borrowed = borrowed_triton(None, repository=repositories[1], data_dir=place, device=Device.CPU)
        with pytest.raises(CommandFailed, match=f"^{place} cannot be the data directory: "), borrowed:
            pass


def test_for_other_models_a_triton_of_ones_own_is_started(tmp_path: Path, repositories: tuple[Path, Path]) -> None:
    """Calibrating a new pack beside the old one's service: here the start fails for want of configurations."""
    borrowed = borrowed_triton(None, repository=repositories[1], data_dir=tmp_path, device=Device.CPU)
    with pytest.raises(ExportFailed, match="is not the model repository"), borrowed:
        pass
