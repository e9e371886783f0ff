"""What is installed besides: extras that do not break one another, and messages that name them as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from deploying import ROOT

EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TOLD = re.compile(r"pip install '([^']*)\[([\w,-]+)\]'")
TEXTS = sorted(
    path
    for folder in ("accuracy", "client", "docs", "export", "proxy", "server")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md"}
)


def names(extra: str) -> set[str]:
    return {re.match(r"[\w-]+", requirement)[0] for requirement in EXTRAS[extra]}  # type: ignore[index]


def test_a_gpus_environment_has_all_that_a_cpus_has_but_for_the_library_that_has_its_name() -> None:
    assert names("embedded-gpu") - {"onnxruntime-gpu"} == (names("embedded") | names("export")) - {"onnxruntime"}
    assert "onnxruntime-gpu" in names("embedded-gpu")
    for extra in set(EXTRAS) - {"embedded-gpu"}:
        assert "onnxruntime-gpu" not in names(extra), extra


def test_both_run_the_same_versions_of_what_the_models_need() -> None:
    """Triton's stub was built against one numpy."""
    pinned = {requirement for requirement in EXTRAS["embedded"] if re.search("==|<", requirement)}
    assert pinned <= set(EXTRAS["embedded-gpu"])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_text_says_to_install_can_be_installed(path: Path) -> None:
    """From the project's folder or a wheel of it, since no index has it; and of extras that there are."""
    for project, extras in TOLD.findall(path.read_text()):
        assert project in {".", "dist/visavis-….whl"}
        assert set(extras.split(",")) <= set(EXTRAS)
