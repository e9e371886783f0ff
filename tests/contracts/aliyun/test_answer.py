"""The answer table row by row, both examples, and what a score means."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from contracts.aliyun import bench
from contracts.aliyun.bench import form, inline, rpc
from fakes import FAKE_POINTS
from hypothesis import given
from hypothesis import strategies as st

from visavis_client.comparison import ComparisonScore
from visavis_client.score_scale import ScoreScale
from visavis_client.vendor_scales import ALIYUN

documented = pytest.mark.documented
THRESHOLDS = {"0.0001": "90.07", "0.001": "80.01", "0.01": "70.02"}
REQUEST_ID = re.compile("[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}")


def score(source: bytes, target: bytes) -> float:
    data = rpc(form(inline(source), inline(target))).send(bench.client()).json()["Data"]
    assert isinstance(data["SimilarityScore"], int | float)
    return float(data["SimilarityScore"])


@documented("aliyun", "example", "aliyun.md: JSON answer")
def test_the_documents_json_answer() -> None:
    """The example's members in its order, with the RequestId that every answer of the gateway has."""
    answer = rpc().send(bench.client())
    told = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert list(told) == ["Code", "Data", "RequestId", "Success"]
    assert list(told["Data"]) == ["ConfidenceThresholds", "SimilarityScore"]
    assert told["Code"] == "1"
    assert told["Success"] is True
    assert REQUEST_ID.fullmatch(told["RequestId"])
    assert answer.headers["x-acs-request-id"] == told["RequestId"]


@documented("aliyun", "example", "aliyun.md: XML answer")
@pytest.mark.parametrize("name", ["XML", "xml", "Xml"])
def test_the_documents_xml_answer(name: str) -> None:
    """The example's elements in its order, with the same values as in JSON."""
    answer = rpc(Format=name).send(bench.client())
    root = ET.fromstring(answer.text)
    assert answer.text.startswith("<?xml version='1.0' encoding='UTF-8'?>\n<CompareFacesResponse>")
    assert answer.headers["content-type"] == "text/xml;charset=utf-8"
    assert [child.tag for child in root] == ["RequestId", "Data", "Success", "Code"]
    assert [child.tag for child in root.findall("Data/*")] == ["ConfidenceThresholds", "SimilarityScore"]
    assert (root.findtext("Success"), root.findtext("Code")) == ("true", "1")
    assert json.loads(root.findtext("Data/ConfidenceThresholds") or "") == THRESHOLDS
    assert float(root.findtext("Data/SimilarityScore") or "") == score(bench.FACE, bench.SAME_FACE)


@pytest.mark.parametrize("name", ["JSON", "json", "", None])
def test_json_is_asked_for_in_any_case_and_is_the_default(name: str | None) -> None:
    """Acs asks for JSON, Tea for json, others for nothing."""
    assert rpc(Format=name).send(bench.client()).json()["Code"] == "1"


@documented("aliyun", "field", "SimilarityScore")
def test_similarity_score_is_a_number_from_0_to_100() -> None:
    """The same face is at the top, another one below every threshold."""
    assert score(bench.FACE, bench.FACE) == 100
    assert score(bench.FACE, bench.SAME_FACE) > 90.07
    assert 0 <= score(bench.FACE, bench.OTHER_FACE) < 70.02
    assert score(bench.SAME_FACE, bench.OTHER_FACE) == score(bench.OTHER_FACE, bench.SAME_FACE)


@documented("aliyun", "field", "ConfidenceThresholds")
def test_confidence_thresholds_is_a_string_of_json() -> None:
    """Rates in the document's order, values as strings of two decimals, those of its JSON example."""
    text = rpc().send(bench.client()).json()["Data"]["ConfidenceThresholds"]
    assert text == '{"0.0001":"90.07","0.001":"80.01","0.01":"70.02"}'


@pytest.mark.parametrize(("rate", "threshold"), [(float(r), float(t)) for r, t in THRESHOLDS.items()])
def test_each_threshold_is_our_scores_at_that_false_match_rate(rate: float, threshold: float) -> None:
    """A client that compares with the printed threshold has the printed false match rate."""
    scale = ScoreScale(FAKE_POINTS, ALIYUN)
    assert scale(ComparisonScore(FAKE_POINTS.threshold(rate))) == threshold


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_score_is_a_higher_similarity(one: float, other: float) -> None:
    """The scale rises, within 0 and 100."""
    scale = ScoreScale(FAKE_POINTS, ALIYUN)
    low, high = sorted((one, other))
    assert 0 <= scale(ComparisonScore(low)) <= scale(ComparisonScore(high)) <= 100


def test_the_largest_face_counts() -> None:
    """Of a picture with two faces, the one that fills more of it."""
    assert score(bench.FACE, bench.TWO_FACES) == 100
    assert score(bench.OTHER_FACE, bench.TWO_FACES) < 70.02


def test_the_sources_fault_is_named_first() -> None:
    """Both at fault: the answer does not depend on which side is found out sooner."""
    faults = {
        inline(bench.NO_FACE): "Error.NoFaceDetected",
        inline(bench.UNKNOWN): "InvalidParam.ImageValuePatternError",
    }
    for source, target in (list(faults), list(faults)[::-1]):
        assert rpc(form(source, target)).send(bench.client()).json()["Code"] == faults[source]
