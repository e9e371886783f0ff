"""Do the thresholds that vendors print hold here? The false match rate at each, through the scale that answers."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from visavis_accuracy.calibration import EVIDENCE_PAIRS, CalibrationImpossible
from visavis_accuracy.rates import RATES, allowed_factor
from visavis_accuracy.scores import BINS, PairScores, centres
from visavis_client.comparison import ComparisonScore
from visavis_client.operating_points import OperatingPoints
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import VENDOR_SCALES


@dataclass(frozen=True, slots=True)
class PrintedThreshold:
    """One threshold of one document, and what it is worth here."""

    contract: str
    nominal: float
    #: As a client writes it, on the vendor's scale; for AWS a cosine.
    printed: float
    #: The comparison score that the scale holds against it.
    threshold: float
    false_match_rate: float
    expected_pairs: float

    @property
    def factor(self) -> float:
        """Measured over nominal."""
        return self.false_match_rate / self.nominal

    @property
    def allowed(self) -> float | None:
        """See :func:`allowed_factor`; None too where fewer than EVIDENCE_PAIRS pairs are expected."""
        return allowed_factor(self.nominal) if self.expected_pairs >= EVIDENCE_PAIRS else None

    @property
    def holds(self) -> bool | None:
        """None where it is not judged."""
        return None if self.allowed is None else 1 / self.allowed <= self.factor <= self.allowed


def measure_contracts(scores: PairScores, points: OperatingPoints) -> list[PrintedThreshold]:
    """Every printed threshold of every contract, the most lenient of each first.

    Raises:
        OperatingPointsInvalid: the points carry no scale of a contract.
        CalibrationImpossible: so few pairs judge no threshold of any.
    """
    kept = sorted(scores.kept_non_mated.scores.tolist())
    rows = []
    for contract, nominal, printed, passes in _decisions(points):
        rate = _share_passing(scores, kept, passes)
        expected = nominal * scores.non_mated_pairs
        rows.append(PrintedThreshold(contract, nominal, printed, points.threshold(nominal), rate, expected))
    if all(row.holds is None for row in rows):
        raise CalibrationImpossible(
            f"{scores.non_mated_pairs:,} non-mated pairs decide about no printed threshold: even a false match rate of "
            f"0.01 takes {round(EVIDENCE_PAIRS / 1e-2):,}, which some 150 photographs make"
        )
    return rows


def _decisions(points: OperatingPoints) -> Iterator[tuple[str, float, float, Callable[[float], bool]]]:
    """Contract, nominal rate, printed threshold, and whether a client with that threshold accepts a cosine."""
    for contract, printed in VENDOR_SCALES.items():
        scale = ScoreScale(points, printed)
        for rate in sorted(printed.thresholds, reverse=True):
            yield contract, rate, printed.thresholds[rate], _accepts(scale, printed.thresholds[rate])
    for rate in (rate for rate in RATES if rate <= 1e-2):
        yield "AWS", rate, points.threshold(rate), points.threshold(rate).__le__


def _accepts(scale: ScoreScale, printed: float) -> Callable[[float], bool]:
    return lambda cosine: scale(ComparisonScore(cosine)) >= printed


def _share_passing(scores: PairScores, kept: list[float], passes: Callable[[float], bool]) -> float:
    """Of all non-mated pairs; ``kept`` are the most alike ones, rising.

    Scales preserve order, so the first score that passes is found by bisection, through the very function that
    answers. Where all kept pairs pass, the histogram knows the rest, to the width of a bin.
    """
    first = bisect.bisect_left(kept, True, key=passes)
    if first > 0:
        return (len(kept) - first) / scores.non_mated_pairs
    edges = (centres() - 1 / BINS).clip(-1, 1).tolist()
    return float(scores.non_mated[bisect.bisect_left(edges, True, key=passes) :].sum() / scores.non_mated_pairs)


def contracts_table(rows: Iterable[PrintedThreshold]) -> Table:
    """For the terminal."""
    table = Table(title="Printed thresholds and our false match rate at them", box=None, padding=(0, 2, 0, 0))
    table.add_column("contract", no_wrap=True)
    for heading in ("FMR", "printed", "cosine", "measured", "factor", "allowed", ""):
        table.add_column(heading, justify="right")
    for row in rows:
        allowed = "–" if row.allowed is None else f"{row.allowed:g}"
        verdict = {None: "–", True: "holds", False: "[red]off[/]"}[row.holds]
        cells = (f"{row.nominal:.0e}", f"{row.printed:g}", f"{row.threshold:.4f}", f"{row.false_match_rate:.2e}")
        table.add_row(row.contract, *cells, f"{row.factor:.2f}", allowed, verdict)
    return table


def contracts_document(rows: Iterable[PrintedThreshold]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "contract": row.contract,
            "nominal_false_match_rate": row.nominal,
            "printed_threshold": row.printed,
            "comparison_threshold": row.threshold,
            "measured_false_match_rate": row.false_match_rate,
            "factor": row.factor,
            "allowed_factor": row.allowed,
            "holds": row.holds,
        }
        for row in rows
    ]
