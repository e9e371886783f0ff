"""The face domain and the one door to Triton.

A comparison reads: an :class:`~visavis_client.engine.Engine` analyses two pictures, each face comes back with a
:class:`~visavis_client.faces.Template`, and :func:`~visavis_client.comparison.compare` scores the two templates.
"""

from visavis_client.comparison import ComparisonScore, compare
from visavis_client.engine import Engine
from visavis_client.faces import BoundingBox, Face, ImageSize, Landmarks, PictureAnalysis, Pose, Template

__all__ = [
    "BoundingBox",
    "ComparisonScore",
    "Engine",
    "Face",
    "ImageSize",
    "Landmarks",
    "PictureAnalysis",
    "Pose",
    "Template",
    "compare",
]
