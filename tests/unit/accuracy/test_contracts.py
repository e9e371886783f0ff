"""A printed threshold is worth the false match rate that pairs show at it, through the scale that answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from visavis_accuracy.calibration import CalibrationImpossible, calibrate
from visavis_accuracy.contracts import (
    PrintedThreshold,
    contracts_document,
    contracts_table,
    measure_contracts,
)
from visavis_accuracy.rates import allowed_factor, false_match_rate_at
from visavis_accuracy.scores import PairScores, count_pairs
from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoint, OperatingPoints
from visavis_client.vendor_scales import VENDOR_SCALES

PEOPLE, DIMENSIONS = 1200, 48


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Two templates of each of made-up people: float32 (2400, 48), 2.9 million non-mated pairs."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(PEOPLE, DIMENSIONS)).repeat(2, axis=0) + 0.7 * draw.normal(size=(2 * PEOPLE, DIMENSIONS))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def identities() -> np.ndarray:
    return np.arange(PEOPLE, dtype=np.int32).repeat(2)


@pytest.fixture(scope="module")
def scores(vectors: np.ndarray, identities: np.ndarray) -> PairScores:
    return count_pairs(vectors, identities)


@pytest.fixture(scope="module")
def points(scores: PairScores, identities: np.ndarray) -> OperatingPoints:
    calibrated = calibrate(scores, identities)
    rows = tuple(OperatingPoint(point.false_match_rate, round(point.threshold, 6)) for point in calibrated)
    return OperatingPoints(rows, ModelIdentity("made-up"), "made up")


def test_every_printed_threshold_of_every_contract_is_measured(scores: PairScores, points: OperatingPoints) -> None:
    """Three vendors' tables, and the operating points themselves for AWS, whose clients compare cosines."""
    rows = measure_contracts(scores, points)
    for contract, printed in VENDOR_SCALES.items():
        assert {row.nominal: row.printed for row in rows if row.contract == contract} == dict(printed.thresholds)
    aws = [row for row in rows if row.contract.startswith("AWS")]
    assert [(row.nominal, row.printed) for row in aws] == [
        (rate, points.threshold(rate)) for rate in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    ]


def test_on_the_pairs_that_were_calibrated_on_rates_are_the_nominal_ones(
    scores: PairScores, points: OperatingPoints
) -> None:
    """And each is the rate at the operating point, whichever scale lies between: none of them lets a pair through."""
    for row in measure_contracts(scores, points):
        assert row.false_match_rate == false_match_rate_at(scores, points.threshold(row.nominal))
        if row.nominal >= 1e-5:
            assert row.factor == pytest.approx(1, abs=0.05 if row.nominal >= 1e-4 else 0.5)
        assert row.holds is (True if row.nominal >= 1e-4 else None)  # 29 pairs are too few to judge 1e-5


def test_a_threshold_that_does_not_hold_is_told(scores: PairScores, points: OperatingPoints) -> None:
    """Points that are a little too low everywhere let several times as many pairs through."""
    low = OperatingPoints(
        tuple(OperatingPoint(p.false_match_rate, p.threshold - 0.05) for p in points.points), points.model, "too low"
    )
    rows = measure_contracts(scores, low)
    assert {row.holds for row in rows if row.nominal in {1e-3, 1e-4}} == {False}
    assert {row.holds for row in rows if row.nominal == 1e-6} == {None}
    figures = json.loads(json.dumps(contracts_document(rows)))
    assert [each["holds"] for each in figures] == [row.holds for row in rows]
    assert contracts_table(rows).row_count == len(rows)


def test_where_single_pairs_are_not_kept_the_histogram_answers(
    vectors: np.ndarray, identities: np.ndarray, scores: PairScores, points: OperatingPoints
) -> None:
    """To the width of a bin: a hundred thousand templates have more pairs than are kept."""
    few = count_pairs(vectors, identities, kept=5_000)
    for exact, coarse in zip(measure_contracts(scores, points), measure_contracts(few, points), strict=True):
        assert coarse.false_match_rate == pytest.approx(exact.false_match_rate, rel=0.01)


@pytest.mark.parametrize(
    ("nominal", "measured", "pairs", "holds"),
    [
        (1e-3, 1.49e-3, 1e6, True),
        (1e-3, 1.51e-3, 1e6, False),
        (1e-4, 0.68e-4, 2e6, True),
        (1e-4, 0.66e-4, 2e6, False),
        (1e-5, 2.9e-5, 1.1e7, True),
        (1e-5, 3.1e-5, 1.1e7, False),
        (1e-5, 9e-5, 9e6, None),
        (1e-6, 9e-6, 1e9, None),
    ],
)
def test_a_rate_holds_within_its_factor(nominal: float, measured: float, pairs: float, holds: bool | None) -> None:
    """1.5 down to one in ten thousand, 3 at one in a hundred thousand; fewer, or too few pairs, are not judged."""
    assert PrintedThreshold("a contract", nominal, 50, 0.4, measured, nominal * pairs).holds is holds
    assert allowed_factor(1e-2) == 1.5


def test_so_few_pairs_that_nothing_is_judged_are_refused(
    vectors: np.ndarray, identities: np.ndarray, points: OperatingPoints
) -> None:
    """Else a table of dashes would look as if every threshold held."""
    with pytest.raises(CalibrationImpossible, match=r"12 non-mated pairs decide about no .* takes 10,000, which"):
        measure_contracts(count_pairs(vectors[:6], identities[:6]), points)
    assert measure_contracts(count_pairs(vectors[:150], identities[:150]), points)
