"""A client who hard-coded a printed threshold keeps its false match rate, whatever the pack and its thresholds are."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from fakes import FAKE_POINTS
from hypothesis import assume, given
from hypothesis import strategies as st

from visavis_client.comparison import ComparisonScore
from visavis_client.faces import ModelIdentity
from visavis_client.operating_points import OperatingPoint, OperatingPoints, OperatingPointsInvalid
from visavis_client.score_scale import PrintedScale, ScoreScale
from visavis_client.vendor_scales import ALIYUN, FACEPP, JDCLOUD, VENDOR_SCALES

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
MODEL = ModelIdentity("some-pack")


def points_of(thresholds: list[float], rates: tuple[float, ...] = RATES) -> OperatingPoints:
    return OperatingPoints(tuple(map(OperatingPoint, rates, thresholds)), MODEL, "made up")


#: What any pack may have been calibrated to, and any scale over it.
packs = st.lists(
    st.floats(-1, 1, exclude_min=True, exclude_max=True), min_size=len(RATES), max_size=len(RATES), unique=True
).map(lambda thresholds: points_of(sorted(thresholds)))
prints = st.sampled_from(list(VENDOR_SCALES.values()))
cosines = st.floats(-1, 1)


def value(scale: ScoreScale, cosine: float) -> float:
    return scale(ComparisonScore(cosine))


@given(packs, prints, cosines, cosines)
def test_order_is_preserved_everywhere(
    points: OperatingPoints, printed: PrintedScale, one: float, other: float
) -> None:
    """Of two scores the higher one has no lower value, and every value lies between bottom and top."""
    scale = ScoreScale(points, printed)
    low, high = sorted((one, other))
    assert printed.bottom <= value(scale, low) <= value(scale, high) <= printed.top


@given(packs, prints)
def test_ends_meet(points: OperatingPoints, printed: PrintedScale) -> None:
    """Identical pictures reach the top of the scale, opposite ones its bottom, to the last digit."""
    scale = ScoreScale(points, printed)
    assert (value(scale, -1), value(scale, 1)) == (printed.bottom, printed.top)


@given(packs, prints)
def test_a_printed_threshold_is_reached_at_its_rate_and_not_a_hair_before(
    points: OperatingPoints, printed: PrintedScale
) -> None:
    """At the operating point the value is the printed number, bit for bit; one float below, it is less."""
    scale = ScoreScale(points, printed)
    for rate, threshold in printed.thresholds.items():
        at = points.threshold(rate)
        assert value(scale, at) == threshold
        assert value(scale, math.nextafter(at, -1)) < threshold


@given(packs, prints, cosines)
def test_a_caller_decides_as_the_operating_point_does(
    points: OperatingPoints, printed: PrintedScale, cosine: float
) -> None:
    """No rounding to a vendor's decimals lets a score pass a printed threshold, or fail it, unlike its cosine."""
    scale = ScoreScale(points, printed)
    for rate, threshold in printed.thresholds.items():
        assert (value(scale, cosine) >= threshold) == (cosine >= points.threshold(rate))


@given(packs, prints, cosines)
def test_a_value_has_the_vendors_decimals(points: OperatingPoints, printed: PrintedScale, cosine: float) -> None:
    """What the scale answers is what the vendor's answer shows."""
    answered = value(ScoreScale(points, printed), cosine)
    assert answered == float(f"{answered:.{printed.decimals}f}")


@given(packs, prints, cosines, st.floats(0, 1e-3))
def test_a_scale_has_no_jumps(points: OperatingPoints, printed: PrintedScale, cosine: float, step: float) -> None:
    """Two scores are no farther apart on the scale than its steepest part and one digit of rounding allow."""
    scale = ScoreScale(points, printed)
    onward = min(1.0, cosine + step)
    known = sorted((points.threshold(rate), threshold) for rate, threshold in printed.thresholds.items())
    anchors = [(-1.0, printed.bottom), *known, (1.0, printed.top)]
    steepest = max((up - down) / (right - left) for (left, down), (right, up) in itertools.pairwise(anchors))
    assume(math.isfinite(steepest))  # anchors a few smallest floats apart
    rise = value(scale, onward) - value(scale, cosine)
    assert rise <= steepest * (onward - cosine) + 2.01 * 10**-printed.decimals


@pytest.mark.parametrize("printed", VENDOR_SCALES.values(), ids=VENDOR_SCALES)
def test_two_pictures_that_differ_by_a_rounding_error_reach_the_top(printed: PrintedScale) -> None:
    """The cosine of a template with itself is a float32 product, not always 1."""
    assert value(ScoreScale(FAKE_POINTS, printed), float(np.nextafter(np.float32(1), np.float32(0)))) == printed.top


@pytest.mark.parametrize("printed", VENDOR_SCALES.values(), ids=VENDOR_SCALES)
def test_between_anchors_a_scale_is_a_straight_line(printed: PrintedScale) -> None:
    """Half way between two anchors lies half of the way between their values."""
    scale = ScoreScale(FAKE_POINTS, printed)
    known = sorted((FAKE_POINTS.threshold(rate), threshold) for rate, threshold in printed.thresholds.items())
    for (left, down), (right, up) in itertools.pairwise([(-1.0, printed.bottom), *known, (1.0, printed.top)]):
        assert value(scale, (left + right) / 2) == pytest.approx((down + up) / 2, abs=0.51 * 10**-printed.decimals)


def test_the_printed_tables() -> None:
    """The numbers of the three documents."""
    assert dict(ALIYUN.thresholds) == {1e-2: 70.02, 1e-3: 80.01, 1e-4: 90.07}
    assert dict(FACEPP.thresholds) == {1e-3: 65.3, 1e-4: 71.8, 1e-5: 76.5}
    assert dict(JDCLOUD.thresholds) == {1e-4: 0.49, 1e-5: 0.54, 1e-6: 0.58}


@pytest.mark.parametrize(
    ("thresholds", "decimals"), [({1e-3: 50, 1e-4: 40}, 0), ({1e-3: 50, 1e-4: 100}, 0), ({1e-3: 50.25}, 1)]
)
def test_a_scale_that_cannot_be_kept_is_no_scale(thresholds: dict[float, float], decimals: int) -> None:
    """Falling thresholds, one at the top, one with more digits than the answers have."""
    with pytest.raises(ValueError, match=r"rise|decimals"):
        PrintedScale(thresholds, bottom=0, top=100, decimals=decimals)


def test_points_that_leave_the_cosines_range_when_continued_are_refused() -> None:
    """JD Cloud prints a threshold at 1e-6: from 0.5 at 1e-2 and 0.7 at 1e-3 it would have to be 1.3."""
    points = points_of([0.5, 0.7], (1e-2, 1e-3))
    with pytest.raises(OperatingPointsInvalid):
        ScoreScale(points, JDCLOUD)


@given(packs)
def test_a_points_own_threshold_is_given_back_bit_for_bit(points: OperatingPoints) -> None:
    """Interpolation must not move it: a threshold that is off by one float is another decision."""
    assert [points.threshold(rate) for rate in RATES] == [point.threshold for point in points.points]


@given(packs, st.floats(1e-6, 1e-1), st.floats(1e-6, 1e-1))
def test_a_lower_rate_never_has_a_lower_threshold(points: OperatingPoints, one: float, other: float) -> None:
    """Between points too."""
    low, high = sorted((one, other))
    assert points.threshold(low) >= points.threshold(high) - 1e-12


@pytest.mark.parametrize(
    ("rates", "thresholds"),
    [
        ((1e-3,), [0.3]),
        ((1e-3, 1e-3), [0.3, 0.4]),
        ((1e-3, 1e-4), [0.4, 0.4]),
        ((1e-3, 1e-4), [0.4, 0.3]),
        ((1e-3, 0.0), [0.3, 0.4]),
        ((1.0, 1e-3), [0.3, 0.4]),
        ((1e-3, 1e-4), [0.3, 1.0]),
        ((1e-3, 1e-4), [math.nan, 0.4]),
        ((math.nan, 1e-4), [0.3, 0.4]),
    ],
)
def test_points_without_sense_are_refused(rates: tuple[float, ...], thresholds: list[float]) -> None:
    """One point, a rate twice, thresholds that do not rise, rates and scores that are none."""
    with pytest.raises(OperatingPointsInvalid):
        points_of(thresholds, rates)


DETECTOR = "d" * 64
MODELS = {"identity": MODEL, "detector": {"sha256": DETECTOR}}


def entries(**changed: object) -> dict[str, object]:
    rows = [{"false_match_rate": rate, "threshold": at} for rate, at in ((1e-3, 0.37), (1e-4, 0.45))]
    return {"operating_points": rows, "models": MODELS, "evidence": "made up"} | changed


def test_a_table_is_read_for_its_own_models_only(tmp_path: Path) -> None:
    """Thresholds never outlive their embedder, nor their detector."""
    file = tmp_path / "operating_points.json"
    file.write_text(json.dumps(entries()))
    assert OperatingPoints.load(file, MODEL, detector=DETECTOR).threshold(1e-4) == 0.45
    with pytest.raises(OperatingPointsInvalid, match="another-pack is loaded: run `visavis calibrate DIR "):
        OperatingPoints.load(file, ModelIdentity("another-pack"), detector=DETECTOR)
    with pytest.raises(OperatingPointsInvalid, match="with the detector dddddddddddd, but eeeeeeeeeeee is loaded: run"):
        OperatingPoints.load(file, MODEL, detector="e" * 64)


def test_a_table_that_names_no_detector_is_nobodys(tmp_path: Path) -> None:
    """As one written by hand, which says its embedder alone."""
    file = tmp_path / "operating_points.json"
    file.write_text(json.dumps(entries(models={"identity": MODEL})))
    with pytest.raises(OperatingPointsInvalid, match="with the detector unknown, but dddddddddddd is loaded"):
        OperatingPoints.load(file, MODEL, detector=DETECTOR)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        json.dumps(entries(models=[])),
        json.dumps(entries(models={"identity": MODEL, "detector": DETECTOR})),
        json.dumps(entries(operating_points=[1, 2])),
        json.dumps(entries(operating_points=[{"false_match_rate": "a few", "threshold": 0.3}])),
        json.dumps(entries(operating_points=[{"false_match_rate": r, "threshold": 0.3} for r in (1e-3, 1e-4)])),
    ],
)
def test_a_malformed_table_is_refused_in_one_sentence(tmp_path: Path, text: str | None) -> None:
    """Missing, empty, of another shape, not rising: always an error that says where and what to do about it."""
    file = tmp_path / "operating_points.json"
    if text is not None:
        file.write_text(text)
    mending = rf"run `visavis calibrate DIR --model-repository {tmp_path}`"
    with pytest.raises(OperatingPointsInvalid, match=rf"^{tmp_path}.*: {mending}") as refusal:
        OperatingPoints.load(file, MODEL, detector=DETECTOR)
    assert "Error(" not in str(refusal.value)


def test_a_repository_without_thresholds_is_told_by_its_own_name(tmp_path: Path) -> None:
    """And what is to be typed then: a folder's name with spaces is quoted."""
    repository = tmp_path / "my models"
    with pytest.raises(OperatingPointsInvalid) as refusal:
        OperatingPoints.load(repository / "operating_points.json", MODEL, detector=DETECTOR)
    assert str(refusal.value) == (
        f"{repository} has no thresholds for {MODEL}: run `visavis calibrate DIR --model-repository '{repository}'`"
    )


def test_an_export_is_advised_only_where_it_can_bring_thresholds(tmp_path: Path) -> None:
    """It installs a pack's own table over another models' one, not over one that somebody made for these models."""
    file = tmp_path / "operating_points.json"
    file.write_text(json.dumps(entries()))
    with pytest.raises(
        OperatingPointsInvalid, match=r"where the pack comes with thresholds, .*`visavis export --force"
    ):
        OperatingPoints.load(file, ModelIdentity("another-pack"), detector=DETECTOR)
    file.write_text(json.dumps(entries(operating_points=[])))
    with pytest.raises(OperatingPointsInvalid, match=rf"--model-repository {tmp_path}`$"):
        OperatingPoints.load(file, MODEL, detector=DETECTOR)
