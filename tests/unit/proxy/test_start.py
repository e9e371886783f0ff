"""A worker starts with what its environment names, or ends with one sentence that says what is wrong there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FAKE_POINTS

from visavis_client.fakes import FAKE_MODEL
from visavis_proxy.app import app_from_environment, build_services
from visavis_proxy.models import ModelsInvalid, read_identity
from visavis_proxy.settings import Settings


def repository(folder: Path, *, calibrated_for: str = FAKE_MODEL, calibrated_with: str = "d" * 64) -> Path:
    """A model repository's two tables; the thresholds' embedder and the sha256 of their detector."""
    points = [
        {"false_match_rate": point.false_match_rate, "threshold": point.threshold} for point in FAKE_POINTS.points
    ]
    (folder / "models.json").write_text(json.dumps({"identity": FAKE_MODEL, "detector": {"sha256": "d" * 64}}))
    models = {"identity": calibrated_for, "detector": {"sha256": calibrated_with}}
    table = {"operating_points": points, "models": models, "evidence": "made up"}
    (folder / "operating_points.json").write_text(json.dumps(table))
    return folder


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"identity": ""}', '{"identity": 1}'])
def test_a_broken_models_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with models.json, its reader says what to do."""
    (tmp_path / "models.json").write_text(text)
    with pytest.raises(ModelsInvalid, match=r"models\.json .*visavis export"):
        read_identity(tmp_path / "models.json")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that a worker finds: models, keys, a data directory."""
    keys = tmp_path / "credentials.toml"
    keys.write_text('[[key]]\nid = "a"\nsecret = "b"\n')
    keys.chmod(0o600)
    monkeypatch.setenv("VISAVIS_MODEL_REPOSITORY", str(repository(tmp_path)))
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
    return tmp_path


def test_the_environment_makes_an_app(environment: Path) -> None:
    """With everything in its place the factory gives an app, whose keys are those of the data directory."""

    async def make() -> None:
        app = app_from_environment()
        async with app.router.lifespan_context(app):
            assert {"/facepp/v3/compare", "/health/ready"} <= set(app.openapi()["paths"])
        services = build_services(Settings())
        assert services.credentials.find("a") is not None
        for service in (services.engine, services.fetcher, services.state):
            await service.close()

    asyncio.run(make())


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda home, _: (home / "models.json").unlink(), "visavis export"),
        (lambda home, _: repository(home, calibrated_for="another"), "was calibrated for another"),
        (lambda home, _: repository(home, calibrated_with="e" * 64), "was calibrated with the detector eeeeeeeeeeee"),
        (lambda home, _: (home / "models.json").write_text('{"identity": "x"}'), r"models\.json .*visavis export"),
        (lambda home, _: (home / "credentials.toml").chmod(0o644), "chmod 600"),
        (lambda home, _: (home / "credentials.toml").unlink(), "cannot read credentials"),
        (lambda _, patch: patch.setenv("VISAVIS_STATE__URL", "nonsense"), "VISAVIS_STATE__URL"),
        (lambda _, patch: patch.setenv("VISAVIS_ENGINE_TIMEOUT_S", "-1"), "VISAVIS_ENGINE_TIMEOUT_S: "),
    ],
)
def test_what_a_worker_cannot_start_with_is_one_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, Any], object], sentence: str
) -> None:
    """Each mistake of an operator ends the worker with a sentence that names it."""
    spoil(environment, monkeypatch)
    with pytest.raises(SystemExit, match=sentence):
        app_from_environment()
