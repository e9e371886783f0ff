"""The face domain's values are right by construction."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visavis_client import BoundingBox, ComparisonScore, ImageSize, Template, compare
from visavis_client.errors import TemplatesNotComparable
from visavis_client.faces import ModelIdentity

MODEL = ModelIdentity("test-1")
VECTORS = hnp.arrays(np.float32, 128, elements=st.floats(-30, 30, width=32)).filter(lambda v: np.linalg.norm(v) > 1e-3)


@given(VECTORS)
def test_a_template_has_unit_length_and_keeps_its_embedding(embedding: np.ndarray) -> None:
    template = Template.from_embedding(embedding, MODEL)
    assert np.linalg.norm(template.vector) == pytest.approx(1, abs=1e-5)
    assert np.allclose(template.embedding(), embedding, rtol=1e-4, atol=1e-4)


@given(VECTORS, VECTORS)
def test_a_score_is_a_symmetric_cosine(one: np.ndarray, other: np.ndarray) -> None:
    a, b = Template.from_embedding(one, MODEL), Template.from_embedding(other, MODEL)
    assert compare(a, b) == compare(b, a)
    assert compare(a, a).value == pytest.approx(1, abs=1e-5)
    cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert compare(a, b).value == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize("embedding", [np.zeros(8), np.full(8, np.nan), np.full(8, np.inf)])
def test_an_embedding_without_direction_is_refused(embedding: np.ndarray) -> None:
    with pytest.raises(ValueError, match="embedding"):
        Template.from_embedding(embedding.astype(np.float32), MODEL)


def test_templates_of_two_models_are_not_comparable() -> None:
    one = Template.from_embedding(np.ones(4, np.float32), MODEL)
    for other in (
        Template.from_embedding(np.ones(4, np.float32), ModelIdentity("test-2")),
        Template.from_embedding(np.ones(5, np.float32), MODEL),
    ):
        with pytest.raises(TemplatesNotComparable):
            compare(one, other)


def test_a_template_shows_no_number_and_cannot_be_changed() -> None:
    template = Template.from_embedding(np.array([3, 4], np.float32), MODEL)
    assert "0.6" not in repr(template)
    with pytest.raises(ValueError, match="read-only"):
        template.vector[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        template.norm = 2  # type: ignore[misc]


@pytest.mark.parametrize("value", [-1.1, 1.1, float("nan")])
def test_a_score_outside_the_cosines_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="cosine"):
        ComparisonScore(value)


def test_values_check_themselves() -> None:
    with pytest.raises(ValueError, match="pixel"):
        ImageSize(0, 5)
    with pytest.raises(ValueError, match="area"):
        BoundingBox(0, 0, 0, 5)
    with pytest.raises(ValueError, match="finite"):
        BoundingBox(float("nan"), 0, 1, 5)


def test_overlap_is_intersection_over_union() -> None:
    box = BoundingBox(0, 0, 10, 10)
    assert box.overlap(box) == 1
    assert box.overlap(BoundingBox(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert box.overlap(BoundingBox(20, 20, 1, 1)) == 0
