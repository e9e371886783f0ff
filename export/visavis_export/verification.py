"""Our graphs against the originals, before they replace anything.

Two steps, each against somebody else's code. The folded weights are compared with what onnx's reference evaluator
makes of the quantised ones. Then the whole graphs are compared with OpenCV, which runs the originals as their authors
wrote them, on drawn and photographed faces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from visavis_export import pictures
from visavis_export.errors import VerificationFailed
from visavis_export.folding import Network
from visavis_export.matching import Agreement, Faces, compare, cosine
from visavis_export.pack import DetectorRecipe
from visavis_export.runners import OurDetector, OurEmbedder, ReferenceDetector, ReferenceEmbedder
from visavis_export.yunet import build_yunet

#: Here nearly everything is a candidate, so that overlap suppression and ranking have work to do.
_LOOSE_THRESHOLD = 0.05
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Check:
    """One figure and its limit."""

    name: str
    measured: float
    limit: float
    #: Whether the limit is the least that is allowed, not the most.
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """False for NaN, too."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def require(checks: list[Check], otherwise: str = "The new graphs do not do what the originals do") -> None:
    """Every check holds.

    Raises:
        VerificationFailed: naming the first that does not.
    """
    failed = [f"{c.name} is {c.measured:.6g}, the limit {c.limit:g}" for c in checks if not c.holds]
    if failed:
        raise VerificationFailed(f"{otherwise}, so nothing was replaced: {failed[0]}.")


def check_folding(weights: bytes, network: Network) -> list[Check]:
    """The folded constants against onnx's reference evaluator; nothing to check in a file that is not quantised."""
    model = onnx.load_from_string(weights)
    names = {i.name for i in model.graph.initializer}
    folded = [
        n for n in model.graph.node if n.op_type in {"DequantizeLinear", "Reshape"} and n.output[0] in network.constants
    ]
    if not any(node.op_type == "DequantizeLinear" for node in folded):
        return []
    ends = [node.output[0] for node in folded]
    outputs = [helper.make_empty_tensor_value_info(name) for name in ends]
    used = {name for node in folded for name in node.input} & names
    graph = helper.make_graph(folded, "weights", [], outputs, [i for i in model.graph.initializer if i.name in used])
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    values = ReferenceEvaluator(alone).run(None, {})
    worst = max(float(np.abs(v - network.constants[name]).max()) for name, v in zip(ends, values, strict=True))
    return [Check("folded weights, difference to onnx's evaluator", worst, 1e-7)]


def check_detector(graph: bytes, network: Network, recipe: DetectorRecipe) -> list[Check]:
    """`face_detector` against FaceDetectorYN, strictly and with a flood of candidates; and its batch against single."""
    frames = pictures.frames()
    original = network.serialised()
    strict, single = _follow(graph, original, recipe, frames)
    loose_recipe = replace(recipe, score_threshold=_LOOSE_THRESHOLD, tall_score_threshold=_LOOSE_THRESHOLD)
    loose, _ = _follow(build_yunet(network, loose_recipe), original, loose_recipe, frames)
    batch = OurDetector(graph).detect(np.resize(frames, (_BATCH, *frames.shape[1:])))
    furthest = max(apart(batch[row], single[row % len(single)]) for row in range(_BATCH))
    return [
        Check("detector, faces compared", strict.faces, 1, at_least=True),
        Check("detector, faces missed or added against FaceDetectorYN", strict.missed + strict.extra, 0),
        Check("detector, intersection over union", strict.worst_iou, 0.999, at_least=True),
        Check("detector, landmarks, pixels of the frame", strict.worst_landmark, 0.05),
        Check("detector, scores", strict.worst_score, 1e-3),
        Check(
            "detector, share missed or added in a flood of candidates",
            (loose.missed + loose.extra) / max(loose.faces, 1),
            0.02,
        ),
        Check("detector, batch of 16 against single, pixels", furthest, 0.01),
    ]


def check_embedder(graph: bytes, network: Network) -> list[Check]:
    """`face_embedder` against FaceRecognizerSF, and its batch against single faces."""
    faces = pictures.crops(pictures.frames())
    ours, reference = OurEmbedder(graph), ReferenceEmbedder(network.serialised())
    single = np.concatenate([ours.embed(face[None]) for face in faces])
    expected = np.stack([reference.embed(face) for face in faces])
    length = np.linalg.norm(single, axis=1) / np.linalg.norm(expected, axis=1)
    return [
        Check(
            "embedder, cosine to FaceRecognizerSF",
            min(cosine(a, b) for a, b in zip(expected, single, strict=True)),
            0.9999,
            at_least=True,
        ),
        Check("embedder, relative difference of length", float(np.abs(length - 1).max()), 1e-3),
        Check("embedder, batch against single", float(np.abs(ours.embed(faces) - single).max()), 1e-3),
    ]


def _follow(
    graph: bytes, original: bytes, recipe: DetectorRecipe, frames: pictures.Pixels
) -> tuple[Agreement, list[Faces]]:
    """How ours follows the reference over single frames, and what ours found."""
    ours, reference = OurDetector(graph), ReferenceDetector(original, recipe)
    found = [ours.detect(frame[None])[0] for frame in frames]
    return Agreement.over(compare(reference.detect(f), mine) for f, mine in zip(frames, found, strict=True)), found


def apart(one: Faces, other: Faces) -> float:
    """The furthest that a corner, a side or a landmark lies from its like, pixels; infinite for unequal counts."""
    if len(one) != len(other):
        return float("inf")
    return float(
        max(np.abs(one.boxes - other.boxes).max(initial=0), np.abs(one.landmarks - other.landmarks).max(initial=0))
    )
