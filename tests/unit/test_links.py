"""Every link between the documents leads to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "perf/README.md", *ROOT.glob("docs/**/*.md")})


def anchors(page: Path) -> set[str]:
    """Headings' names as GitHub makes them: small letters, blanks as hyphens, no other punctuation."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_pages_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    for place, _, heading in (link.partition("#") for link in links if "://" not in link):
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), place
        assert not heading or heading in anchors(target), f"{place}#{heading}"
