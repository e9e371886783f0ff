"""The answer, in the document's words and order, spaced as the solution's Python spaces JSON."""

from __future__ import annotations

import orjson

from visavis_client.faces import BoundingBox, ImageSize, PictureAnalysis
from visavis_proxy.contracts.aws.face_hash import face_hash
from visavis_proxy.contracts.aws.settings import AwsSettings


def answer(analysis: PictureAnalysis, settings: AwsSettings) -> bytes:
    """Every face of the picture, the surest first; no face is an empty list.

    Raises:
        EngineFault: an embedding has no face_hash.
    """
    faces = [
        {
            "BoundingBox": _fractions(face.box, analysis.image_size),
            "Confidence": face.detection_score,
            "face_hash": face_hash(face.template.embedding()),
        }
        for face in sorted(analysis.faces, key=lambda face: -face.detection_score)
        if face.template is not None and face.detection_score >= settings.min_confidence
    ]
    # An order of magnitude faster than json.dumps, which would cost more than everything else here. No member's name
    # and no number holds a comma or a colon, but a version might.
    listed = orjson.dumps({"Faces": faces}).replace(b",", b", ").replace(b":", b": ")
    return listed[:-1] + b', "FaceModelVersion": ' + orjson.dumps(settings.face_model_version) + b"}"


def _fractions(box: BoundingBox, picture: ImageSize) -> dict[str, float]:
    """Shares of the picture, not clamped: a face at the border may leave [0, 1] a little."""
    return {
        "Width": box.width / picture.width,
        "Height": box.height / picture.height,
        "Left": box.left / picture.width,
        "Top": box.top / picture.height,
    }
