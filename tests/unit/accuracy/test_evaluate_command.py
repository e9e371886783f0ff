"""What `visavis evaluate` refuses before it does any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis_accuracy.main import evaluate_command
from visavis_accuracy.photographs import CollectionInvalid


@pytest.mark.parametrize("others", [{"at_most": 3}, {"drop": Path("labels.json")}])
def test_pairs_name_their_photographs_themselves(tmp_path: Path, others: dict[str, object]) -> None:
    """A report that lists dropped people although nobody was dropped would be false."""
    with pytest.raises(CollectionInvalid, match="leave out"):
        evaluate_command(tmp_path, pairs=tmp_path / "pairs.txt", **others)  # type: ignore[arg-type]
