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
    """A paragraph for each TOML file; an empty repository holds none of them."""
    done = runner.invoke(app, ["packs", "--model-repository", str(tmp_path)])
    assert done.exit_code == 0
    *paragraphs, _ = done.stdout.split("\n\n")
    for name, paragraph in zip(pack_names(), paragraphs, strict=True):
        heading, *facts = paragraph.splitlines()
        pack = load_pack(name)
        dimensions = str(pack.embedder.dimensions or "the network's")
        assert heading == name
        for fact, said in zip(
            facts, (pack.licence, dimensions, pack.accuracy.published, pack.accuracy.own), strict=True
        ):
            assert fact.rstrip().endswith(f"  {said}")
    assert "(held" not in done.stdout
    assert done.stdout.splitlines()[-1] == f"{tmp_path} holds no pack yet."


def test_no_word_is_cut_on_an_ordinary_terminal(tmp_path: Path) -> None:
    """A place in the documents, say, can be copied."""
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["packs", "--model-repository", str(tmp_path)])
    assert "…" not in done.stdout
    for name in pack_names():
        pack = load_pack(name)
        for word in f"{pack.licence} {pack.accuracy.published} {pack.accuracy.own}".split():
            assert word in done.stdout


@pytest.mark.parametrize(
    ("said", "shown"), [({"precision": "fp16"}, ", fp16"), ({"precision": "fp32"}, ", fp32"), ({}, "")]
)
def test_the_pack_in_use_is_marked(runner: CliRunner, tmp_path: Path, said: dict[str, str], shown: str) -> None:
    """What models.json names is marked, with its precision where that is known, and its identity below."""
    record = {"pack": "opencv", "identity": "opencv-0123456789ab", "licence": "MIT", **said}
    (tmp_path / "models.json").write_text(json.dumps(record))
    done = runner.invoke(app, ["packs", "--model-repository", str(tmp_path)])
    assert f"opencv (held{shown})\n" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{tmp_path} holds opencv-0123456789ab (MIT{shown})."
