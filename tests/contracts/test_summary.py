"""Every name of every document has a test, and no test claims a name that its document does not know."""

from __future__ import annotations

import pytest
from contracts.coverage import Point, contracts, documented_points


@pytest.mark.parametrize("contract", contracts())
def test_every_documented_point_has_a_test(contract: str, claims: dict[str, set[Point]]) -> None:
    """Fields, errors and examples of the document are each claimed by a collected test, and nothing else is."""
    if contract not in claims:
        pytest.skip("needs all tests of that contract in one run")
    assert claims[contract] == documented_points(contract)
