"""Comparing two templates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visavis_client.errors import TemplatesNotComparable
from visavis_client.faces import Template


@dataclass(frozen=True, slots=True, order=True)
class ComparisonScore:
    """The cosine of two templates, -1 to 1: higher is more alike."""

    value: float

    def __post_init__(self) -> None:
        if not -1.0 <= self.value <= 1.0:
            raise ValueError(f"a cosine lies in [-1, 1], not {self.value}")


def compare(probe: Template, reference: Template) -> ComparisonScore:
    """Score two templates of one model.

    Raises:
        TemplatesNotComparable: they come from different models.
    """
    if probe.model != reference.model or probe.vector.size != reference.vector.size:
        raise TemplatesNotComparable(f"a template of {probe.model} against one of {reference.model}")
    cosine = float(np.dot(probe.vector, reference.vector))
    return ComparisonScore(min(max(cosine, -1.0), 1.0))
