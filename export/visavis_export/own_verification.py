"""Graphs around a user's files against those files, run as they came, before anything is replaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from visavis_export import pictures
from visavis_export.embedder import FACE
from visavis_export.matching import Agreement, Faces, compare, cosine
from visavis_export.originals import OriginalEmbedder, OriginalScrfd
from visavis_export.pack import DetectorRecipe, EmbedderRecipe
from visavis_export.runners import OurDetector, OurEmbedder
from visavis_export.scrfd import build_scrfd
from visavis_export.verification import Check, apart

#: Here many are candidates, so that both scales, overlap suppression and ranking have work to do.
_LOOSE_THRESHOLD = 0.1
_BATCH = 16


def check_scrfd(graph: bytes, data: bytes, recipe: DetectorRecipe) -> list[Check]:
    """`face_detector` against the network, strictly and with many candidates; and its batch against single frames."""
    frames = pictures.frames()
    loose = replace(recipe, score_threshold=_LOOSE_THRESHOLD, tall_score_threshold=_LOOSE_THRESHOLD)
    strict, single = _follow(graph, data, recipe, frames)
    many, _ = _follow(build_scrfd(data, loose), data, loose, frames)
    batch = OurDetector(graph).detect(np.resize(frames, (_BATCH, *frames.shape[1:])))
    return [
        Check("detector, faces compared", many.faces, 1, at_least=True),
        Check("detector, faces missed or added against the original", strict.missed + strict.extra, 0),
        Check("detector, intersection over union", many.worst_iou, 0.999, at_least=True),
        Check("detector, landmarks, pixels of the frame", many.worst_landmark, 0.05),
        Check("detector, scores", many.worst_score, 1e-3),
        Check(
            "detector, share missed or added among many candidates",
            (many.missed + many.extra) / max(many.faces, 1),
            0.02,
        ),
        Check(
            "detector, batch of 16 against single, pixels",
            max(apart(batch[row], single[row % len(single)]) for row in range(_BATCH)),
            0.01,
        ),
    ]


def check_arcface(graph: bytes, data: bytes, recipe: EmbedderRecipe) -> list[Check]:
    """`face_embedder` against the network, and its batch against single faces."""
    faces = pictures.crops(pictures.frames())
    ours, original = OurEmbedder(graph), OriginalEmbedder(data, recipe, FACE)
    single = np.concatenate([ours.embed(face[None]) for face in faces])
    expected = np.stack([original.embed(face) for face in faces])
    length = np.linalg.norm(single, axis=1) / np.linalg.norm(expected, axis=1)
    batch = np.linalg.norm(ours.embed(faces) - single, axis=1) / np.linalg.norm(single, axis=1)
    return [
        Check(
            "embedder, cosine to the original",
            min(cosine(a, b) for a, b in zip(expected, single, strict=True)),
            0.9999,
            at_least=True,
        ),
        Check("embedder, relative difference of length", float(np.abs(length - 1).max()), 1e-3),
        Check("embedder, batch against single, relative", float(batch.max()), 1e-3),
    ]


def _follow(
    graph: bytes, data: bytes, recipe: DetectorRecipe, frames: pictures.Pixels
) -> tuple[Agreement, list[Faces]]:
    """How ours follows the original over single frames, and what ours found."""
    ours, original = OurDetector(graph), OriginalScrfd(data, recipe)
    found = [ours.detect(frame[None])[0] for frame in frames]
    pairs = zip(frames, found, strict=True)
    return Agreement.over(compare(original.detect(frame), mine) for frame, mine in pairs), found
