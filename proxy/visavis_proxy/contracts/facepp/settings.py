"""What an operator may set of this room; environment names begin with VISAVIS_FACEPP__."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from visavis_client.engine import MAX_FACES


class FacePpSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/facepp.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: A longer request is answered 413. Two pictures of the largest size as base64, percent-encoded, fit.
    max_body_bytes: int = Field(6 * 1024 * 1024, gt=0)
    #: "图片文件大小：2MB"
    max_picture_bytes: int = Field(2 * 1024 * 1024, gt=0)
    #: "最小 48*48 像素，最大 4096*4096 像素"
    min_side_px: int = Field(48, gt=0)
    max_side_px: int = Field(4096, gt=0)
    #: Faces whose rectangle is narrower or lower count as not detected; the document's own limit is 150.
    min_face_px: int = Field(0, ge=0)
    #: The largest so many faces of a picture are returned. Each has a token, so each costs one embedding.
    max_faces: int = Field(MAX_FACES, ge=1, le=MAX_FACES)
    #: A face_rectangle is searched with so much of its sides around it; only faces inside it are told.
    rectangle_margin: float = Field(0.75, ge=0, le=4)
    #: From the request's last byte to the answer, fetching, analysing and all calls of the state included.
    answer_within_s: float = Field(9.0, gt=0)
