"""A graph in half precision against the same graph in float32, before it replaces anything.

onnxruntime computes float16 on a CPU in float32 and rounds what it stores, a GPU may do better or a little worse; but
where a number leaves float16's range, a GPU would go on with infinity. So every number in between is looked at, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

from visavis_export import pictures
from visavis_export.errors import VerificationFailed
from visavis_export.halving import halved
from visavis_export.matching import Agreement, compare, cosine
from visavis_export.runners import REFUSALS, OurDetector, OurEmbedder, session_of
from visavis_export.verification import Check, require

#: float16 ends at 65,504; pictures that nobody has tried yet get some room.
_LARGEST = 16_384.0
#: Pictures at a time while every number is kept.
_AT_ONCE = 2


def half_embedder(graph: bytes) -> tuple[bytes, list[Check]]:
    """`face_embedder` in half precision, and how far its templates are from those of ``graph``.

    Raises:
        VerificationFailed: too far.
        NetworkUnexpected: it cannot be had.
    """
    return _verified(graph, lambda half: _check_embedder(half, graph))


def half_detector(graph: bytes) -> tuple[bytes, list[Check]]:
    """`face_detector` in half precision, and how far its faces are from those of ``graph``.

    Raises:
        VerificationFailed: too far.
        NetworkUnexpected: it cannot be had.
    """
    return _verified(graph, lambda half: _check_detector(half, graph))


def _check_embedder(half: bytes, graph: bytes) -> list[Check]:
    faces = pictures.crops(pictures.frames())
    expected, found = OurEmbedder(graph).embed(faces), OurEmbedder(half).embed(faces)
    cosines = [cosine(a, b) for a, b in zip(expected, found, strict=True)]
    return [
        Check("fp16 embedder, cosine to fp32, median", float(np.median(cosines)), 0.9998, at_least=True),
        Check("fp16 embedder, cosine to fp32, worst", min(cosines), 0.998, at_least=True),
        Check("fp16 embedder, largest number in between", _largest(half, faces), _LARGEST),
    ]


def _check_detector(half: bytes, graph: bytes) -> list[Check]:
    frames = pictures.frames()
    ours, single = OurDetector(half), OurDetector(graph)
    pairs = ((single.detect(frame[None])[0], ours.detect(frame[None])[0]) for frame in frames)
    agreement = Agreement.over(compare(expected, found) for expected, found in pairs)
    return [
        Check("fp16 detector, faces compared", agreement.faces, 1, at_least=True),
        Check("fp16 detector, faces missed or added against fp32", agreement.missed + agreement.extra, 0),
        Check("fp16 detector, intersection over union", agreement.worst_iou, 0.99, at_least=True),
        Check("fp16 detector, landmarks, pixels of the frame", agreement.worst_landmark, 0.5),
        Check("fp16 detector, scores", agreement.worst_score, 5e-3),
        Check("fp16 detector, largest number in between", _largest(half, frames), _LARGEST),
    ]


def _verified(graph: bytes, measure: Callable[[bytes], list[Check]]) -> tuple[bytes, list[Check]]:
    half = halved(graph)
    try:
        checks = measure(half)
    except REFUSALS as error:
        raise VerificationFailed(
            f"onnxruntime does not run this in half precision: {str(error).splitlines()[0]}"
        ) from error
    require(checks, "In half precision the graphs do not do what they do in fp32, which --precision fp32 builds")
    return half, checks


def _largest(half: bytes, pixels: pictures.Pixels) -> float:
    """The largest magnitude that any float16 tensor takes; infinity for what is no number."""
    model = onnx.load_from_string(half)
    made = shape_inference.infer_shapes(model).graph.value_info
    names = [value.name for value in made if value.type.tensor_type.elem_type == TensorProto.FLOAT16]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT16, None) for name in names)
    session, largest = session_of(model.SerializeToString()), 0.0
    for begin in range(0, len(pixels), _AT_ONCE):
        for values in session.run(names, {"image": pixels[begin : begin + _AT_ONCE]}):
            magnitude = float(np.abs(values).max(initial=0))
            largest = max(largest, magnitude if np.isfinite(magnitude) else float("inf"))
    return largest
