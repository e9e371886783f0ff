"""All pairs are counted once, and rates, intervals and tails say what the pairs say."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.stats import beta

from visavis_accuracy import scores as scores_module
from visavis_accuracy.bootstrap import Resampled, resample
from visavis_accuracy.calibration import CalibrationImpossible, calibrate, document, point_at, warning
from visavis_accuracy.crowd import make_crowd
from visavis_accuracy.pairs_file import Pair
from visavis_accuracy.rates import (
    RATES,
    curve,
    false_match_rate_at,
    fold_accuracy,
    threshold_at,
    true_match_rate_at,
)
from visavis_accuracy.scores import BINS, PairScores, count_pairs
from visavis_accuracy.splits import ALLOWED, check_judged, measure_splits
from visavis_accuracy.tail import fit_tail, tail_intervals


def people(number: int, pictures: int, *, noise: float = 0.8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Templates of made-up people: float32 (number * pictures, 64), and their numbers."""
    draw = np.random.default_rng(seed)
    identities = np.repeat(np.arange(number, dtype=np.int32), pictures)
    vectors = draw.normal(size=(number, 64))[identities] + noise * draw.normal(size=(identities.size, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), identities


@pytest.fixture(scope="module")
def crowd() -> tuple[np.ndarray, np.ndarray, PairScores]:
    vectors, identities = people(900, 3)
    return vectors, identities, count_pairs(vectors, identities)


def every_pair(vectors: np.ndarray, identities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.triu_indices(len(vectors), 1)
    scores = np.clip((vectors @ vectors.T)[rows, columns], -1, 1)
    mated = identities[rows] == identities[columns]
    return scores[mated], scores[~mated]


def test_blocks_count_every_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, identities = people(60, 4)
    mated, non_mated = every_pair(vectors, identities)
    for block in (7, 64, 1000):
        monkeypatch.setattr(scores_module, "BLOCK", block)
        counted = count_pairs(vectors, identities)
        assert (counted.mated_pairs, counted.non_mated_pairs) == (mated.size, non_mated.size)
        assert np.allclose(np.sort(counted.kept_non_mated.scores), np.sort(non_mated), atol=1e-6)
        assert np.allclose(np.sort(counted.kept_mated.scores), np.sort(mated), atol=1e-6)


def test_with_little_memory_the_most_alike_pairs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores_module, "BLOCK", 50)
    vectors, identities = people(100, 3)
    _, non_mated = every_pair(vectors, identities)
    counted = count_pairs(vectors, identities, kept=500)
    assert np.allclose(np.sort(counted.kept_non_mated.scores), np.sort(non_mated)[-500:], atol=1e-6)
    assert counted.non_mated_pairs == non_mated.size


def test_of_more_mated_pairs_than_are_kept_a_random_share_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they stand: of every person, and with the distribution of all."""
    monkeypatch.setattr(scores_module, "BLOCK", 100)
    vectors, identities = people(20, 60)
    mated, _ = every_pair(vectors, identities)
    counted = count_pairs(vectors, identities, kept=5_000)
    share = counted.kept_mated
    assert counted.mated_pairs == mated.size == 35_400
    assert share.scores.size == 5_000
    assert np.array_equal(share.probes, share.references)
    of_each = np.bincount(share.probes, minlength=20)
    assert of_each.min() > 190  # 250 expected, 14 the deviation
    assert of_each.max() < 310
    for part in (10, 50, 90):
        assert np.percentile(share.scores, part) == pytest.approx(np.percentile(mated, part), abs=0.01)


def test_beside_the_most_alike_pairs_a_random_share_of_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the distribution of all non-mated pairs, of every person, and never a mated one."""
    monkeypatch.setattr(scores_module, "BLOCK", 100)
    vectors, identities = people(20, 60)
    _, non_mated = every_pair(vectors, identities)
    share = count_pairs(vectors, identities, kept=20_000).shared_non_mated
    assert share.scores.size == pytest.approx(20_000 * non_mated.size / 719_400, rel=0.02)
    assert not (share.probes == share.references).any()
    of_each = np.bincount(np.concatenate([share.probes, share.references]), minlength=20)
    assert of_each == pytest.approx(2 * share.scores.size / 20, rel=0.1)
    for part in (1, 10, 50, 90, 99):
        assert np.percentile(share.scores, part) == pytest.approx(np.percentile(non_mated, part), abs=0.01)
    assert count_pairs(vectors, identities).shared_non_mated.scores.size == 0


def test_equally_alike_pairs_are_not_kept_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One photograph under many names: what is kept stays bounded, and the histogram knows the rates."""
    monkeypatch.setattr(scores_module, "BLOCK", 50)
    vectors = np.tile(np.array([[1, 0, 0, 0]], np.float32), (400, 1))
    counted = count_pairs(vectors, np.arange(400, dtype=np.int32), kept=1_000)
    assert counted.non_mated_pairs == 400 * 399 // 2
    assert counted.kept_non_mated.scores.size == 0
    assert false_match_rate_at(counted, 0.99) == 1
    assert threshold_at(counted, 1e-2) is None


@pytest.mark.parametrize("crowd_of", [3, 400])
def test_memory_does_not_grow_with_the_number_of_pairs(monkeypatch: pytest.MonkeyPatch, crowd_of: int) -> None:
    """Of a few people with very many photographs, nearly a third of all pairs mated, or of many people."""
    monkeypatch.setattr(scores_module, "BLOCK", 256)

    def peak(templates: int) -> int:
        vectors, identities = make_crowd(templates, crowd_of, 32)
        tracemalloc.start()
        try:
            counted = count_pairs(vectors, identities, kept=20_000)
            assert counted.mated_pairs + counted.non_mated_pairs == templates * (templates - 1) // 2
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(1_500), peak(6_000)
    assert large < 1.1 * small  # of sixteen times as many pairs


def test_a_threshold_has_its_false_match_rate(crowd: tuple[np.ndarray, np.ndarray, PairScores]) -> None:
    vectors, identities, counted = crowd
    _, non_mated = every_pair(vectors, identities)
    for rate in (1e-1, 1e-2, 1e-3, 1e-4):
        threshold = threshold_at(counted, rate)
        assert threshold is not None
        assert (non_mated >= threshold).mean() == pytest.approx(rate, rel=0.01)
        assert false_match_rate_at(counted, threshold) == pytest.approx(rate, rel=0.01)
    assert threshold_at(counted, 1e-6) is None


def test_rates_fall_and_rise_and_meet(crowd: tuple[np.ndarray, np.ndarray, PairScores]) -> None:
    _, _, counted = crowd
    rates = curve(counted.mated, counted.non_mated)
    assert (np.diff(rates.false_match_rate) <= 0).all()
    assert (np.diff(rates.false_non_match_rate) >= 0).all()
    assert rates.false_match_rate[0] == 1
    assert 0 < rates.equal_error_rate < 0.05
    assert rates.thresholds.size == BINS


def test_intervals_hold_the_figure_and_resample_people(crowd: tuple[np.ndarray, np.ndarray, PairScores]) -> None:
    _, identities, counted = crowd
    found = resample(counted, identities, RATES)
    for rate in (1e-1, 1e-2, 1e-3, 1e-4):
        threshold = threshold_at(counted, rate)
        thresholds, matches = found.threshold_interval(rate), found.true_match_interval(rate)
        assert threshold is not None
        assert thresholds is not None
        assert matches is not None
        assert thresholds.low <= threshold <= thresholds.high
        assert matches.low <= true_match_rate_at(counted, threshold) <= matches.high
    widths = [i.high - i.low for i in map(found.threshold_interval, (1e-2, 1e-3, 1e-4)) if i]
    assert widths == sorted(widths)


def test_intervals_reach_below_the_most_alike_pairs(crowd: tuple[np.ndarray, np.ndarray, PairScores]) -> None:
    """As where 100,000 templates have billions of pairs: nearly the intervals of all pairs, at every rate."""
    vectors, identities, counted = crowd
    whole = resample(counted, identities, RATES)
    few = count_pairs(vectors, identities, kept=100_000)
    found = resample(few, identities, RATES)
    for rate in (1e-1, 1e-2, 1e-3, 1e-4):
        for read in (Resampled.threshold_interval, Resampled.true_match_interval):
            expected, got = read(whole, rate), read(found, rate)
            assert expected is not None
            assert got is not None
            assert (got.low, got.high) == pytest.approx((expected.low, expected.high), abs=0.003)
    kept = few.kept_non_mated.scores.size
    assert kept <= 100_000 < 0.1 * few.non_mated_pairs  # so that 1e-1 is read below what is kept


def test_a_fitted_tail_continues_the_pairs_it_was_fitted_to() -> None:
    vectors, identities = people(3000, 1)
    whole = count_pairs(vectors, identities)
    part = count_pairs(vectors[:900], identities[:900])
    tail = fit_tail(part)
    assert tail is not None
    wanted = threshold_at(whole, 1e-5)
    assert wanted is not None
    assert tail.threshold(1e-5) == pytest.approx(wanted, abs=0.03)
    assert tail.threshold(1e-6) > tail.threshold(1e-5)


def test_the_interval_of_a_continued_threshold_holds_the_true_one() -> None:
    """Of directions drawn evenly in 64 dimensions the cosine has a known distribution, a stretched beta."""
    vectors, identities = people(900, 1, seed=1)
    counted = count_pairs(vectors, identities)
    tail, found = fit_tail(counted), tail_intervals(counted, identities, (1e-3, 1e-5, 1e-6))
    assert tail is not None
    assert found[1e-3] is None  # lies where the tail begins
    widths = []
    for rate in (1e-5, 1e-6):
        interval = found[rate]
        assert interval is not None
        assert interval.low < tail.threshold(rate) < interval.high
        assert interval.low < 2 * beta.isf(rate, 63 / 2, 63 / 2) - 1 < interval.high
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)


def test_calibration_marks_what_it_extrapolates_and_leaves_out_what_it_cannot_say(
    crowd: tuple[np.ndarray, np.ndarray, PairScores],
) -> None:
    """3.6 million pairs tell 1e-5, where 36 of them match, by the fitted tail, and say nothing of 1e-6."""
    _, identities, counted = crowd
    points = calibrate(counted, identities)
    assert [point.false_match_rate for point in points] == [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]
    assert all(a.threshold < b.threshold for a, b in itertools.pairwise(points))
    assert [point.extrapolated for point in points] == [False, False, False, False, True]
    for point in points:
        assert point.interval is not None
        assert point.interval.low < point.threshold < point.interval.high
    told = warning(points, counted)
    assert told is not None
    assert told.startswith("3,640,950 non-mated pairs")
    assert "1e-06 takes 10,000,000 non-mated pairs" in told
    models = {"identity": "m", "detector": {"sha256": "d"}, "embedder": {"sha256": "e"}}
    about = {"name": "a crowd", "identities": 900, "photographs": 2700}
    written = document(points, counted, models=models, data=about)
    assert written["warning"] == told
    assert [row["false_match_rate"] for row in written["operating_points"]][-1] == 1e-5
    assert warning([dataclasses.replace(points[0], false_match_rate=rate) for rate in RATES], counted) is None


def test_a_folder_too_small_for_the_rate_that_every_contract_needs_gets_no_thresholds() -> None:
    """A tail fitted to 17,700 pairs would give some, several times or a hundred times too lenient further out."""
    for number, pictures in ((8, 2), (60, 3), (100, 4)):
        few, who = people(number, pictures)
        with pytest.raises(CalibrationImpossible, match="100,000 non-mated pairs, which some 450 photographs make"):
            calibrate(count_pairs(few, who), who)
    few, who = people(150, 3)
    assert [point.false_match_rate for point in calibrate(count_pairs(few, who), who)] == [1e-1, 1e-2, 1e-3, 1e-4]


def test_strangers_see_the_nominal_rate() -> None:
    vectors, identities = people(800, 2)
    rows = measure_splits(vectors, identities, splits=2, rates=(1e-2, 1e-3))
    assert len(rows) == 8
    assert all(0.7 < row.factor < 1.4 for row in rows)


def test_strangers_are_shown_the_thresholds_that_calibrate_would_write() -> None:
    """Where fewer than a hundred pairs lie above it, that is the fitted one, and it says so."""
    vectors, identities = people(1200, 2)
    rows = measure_splits(vectors, identities, splits=1)
    for row in rows:
        chosen = np.random.default_rng(0).permutation(1200) < 600
        halves = [count_pairs(vectors[side], identities[side]) for side in (chosen[identities], ~chosen[identities])]
        points = [point_at(half, fit_tail(half), row.nominal) for half in halves]
        assert (row.threshold, row.extrapolated) in [(p.threshold, p.extrapolated) for p in points if p]
    assert [(row.nominal, row.extrapolated) for row in rows] == 2 * [(1e-3, False), (1e-4, True)]


def test_a_rate_that_no_half_can_judge_is_told() -> None:
    """Instead of a table without its rows, which would look as if its threshold held."""
    for number in (2, 3, 60):
        rows = measure_splits(*people(number, 2), splits=1)
        with pytest.raises(CalibrationImpossible, match=rf"0\.001, 0\.0001, 1e-05 could not.* {number} people"):
            check_judged(rows, tuple(ALLOWED), number, 2 * number)
    rows = measure_splits(*people(200, 2), splits=1)
    assert {row.nominal for row in rows} == {1e-3}
    with pytest.raises(CalibrationImpossible, match=r"rates of 0\.0001, 1e-05 could not"):
        check_judged(rows, tuple(ALLOWED), 200, 400)
    check_judged(rows, (1e-3,), 200, 400)


def test_fold_accuracy_tries_the_others_threshold_on_each_fold() -> None:
    pairs = [Pair(0, 1, mated, fold) for fold in range(10) for mated in (True, False)]
    scores = np.array([0.9 if pair.mated else 0.1 for pair in pairs])
    assert fold_accuracy(scores, pairs) == (1.0, 0.0)
    scores[0] = 0.0
    mean, deviation = fold_accuracy(scores, pairs)
    assert mean == pytest.approx(0.95)
    assert deviation == pytest.approx(0.15)
