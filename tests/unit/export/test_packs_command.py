"""`visavis packs` says what may be used, how good it is, and what is in use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from visavis_export.main import app
from visavis_export.pack import load_pack, pack_names


@pytest.fixture
def runner() -> CliRunner:
    # Wide enough that no cell is broken.
    return CliRunner(env={"COLUMNS": "400"})


def test_every_pack_is_listed_with_licence_dimensions_and_accuracy(runner: CliRunner, tmp_path: Path) -> None:
    """One row for each TOML file; an empty repository holds none of them."""
    done = runner.invoke(app, ["packs", "--model-repository", str(tmp_path)])
    assert done.exit_code == 0
    for name in pack_names():
        (row,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ")]
        pack = load_pack(name)
        for cell in (pack.licence, pack.accuracy.published, pack.accuracy.own):
            assert cell in row
        assert str(pack.embedder.dimensions or "the network's") in row
    assert "(held" not in done.stdout
    assert done.stdout.splitlines()[-1] == f"{tmp_path} holds no pack yet."


@pytest.mark.parametrize(
    ("said", "shown"), [({"precision": "fp16"}, ", fp16"), ({"precision": "fp32"}, ", fp32"), ({}, "")]
)
def test_the_pack_in_use_is_marked(runner: CliRunner, tmp_path: Path, said: dict[str, str], shown: str) -> None:
    """What models.json names is marked, with its precision where that is known, and its identity below."""
    record = {"pack": "opencv", "identity": "opencv-0123456789ab", "licence": "MIT", **said}
    (tmp_path / "models.json").write_text(json.dumps(record))
    done = runner.invoke(app, ["packs", "--model-repository", str(tmp_path)])
    assert f"opencv (held{shown}) " in done.stdout
    assert done.stdout.splitlines()[-1] == f"{tmp_path} holds opencv-0123456789ab (MIT{shown})."
