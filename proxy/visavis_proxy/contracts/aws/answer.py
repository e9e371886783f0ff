"""The answer, in the document's words and order, spelt as the solution's Python spells JSON."""

from __future__ import annotations

import json

from visavis_client.faces import Face, ImageSize, PictureAnalysis
from visavis_proxy.contracts.aws.face_hash import face_hash
from visavis_proxy.contracts.aws.settings import AwsSettings


def answer(analysis: PictureAnalysis, settings: AwsSettings) -> bytes:
    """Every face of the picture, the surest first; no face is an empty list.

    Raises:
        EngineFault: an embedding has no face_hash.
    """
    surest_first = sorted(analysis.faces, key=lambda face: -face.detection_score)
    faces = [
        _face(face, face_hash(face.template.embedding()), analysis.image_size)
        for face in surest_first
        if face.template is not None and face.detection_score >= settings.min_confidence
    ]
    return json.dumps({"Faces": faces, "FaceModelVersion": settings.face_model_version}, allow_nan=False).encode()


def _face(face: Face, numbers: list[float], picture: ImageSize) -> dict[str, object]:
    # Fractions of the picture, not clamped: a face at the border may leave [0, 1] a little.
    box = {
        "Width": face.box.width / picture.width,
        "Height": face.box.height / picture.height,
        "Left": face.box.left / picture.width,
        "Top": face.box.top / picture.height,
    }
    return {"BoundingBox": box, "Confidence": face.detection_score, "face_hash": numbers}
