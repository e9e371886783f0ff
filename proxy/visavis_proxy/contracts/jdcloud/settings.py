"""What an operator may set of this room; environment names begin with VISAVIS_JDCLOUD__."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1024 * 1024


class PostureLimits(BaseModel):
    """The angles, in degrees to either side, within which a posture is valid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    yaw: float = Field(30.0, ge=0, le=180)
    pitch: float = Field(30.0, ge=0, le=180)
    roll: float = Field(30.0, ge=0, le=180)


class JdCloudSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/jdcloud.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Seconds that x-jdcloud-date may differ from our clock, to either side.
    clock_window_s: float = Field(900.0, gt=0)
    #: JDCLOUD3 requests must sign x-jdcloud-nonce, as JDCLOUD2 ones must. The vendor's own JDCLOUD3 client does not.
    jdcloud3_signs_nonce: bool = False
    #: Bytes of a request's body; above it nothing is read into memory, and the gateway refuses.
    max_body_bytes: int = Field(8 * MEBIBYTE, ge=1)
    #: Characters of one picture's Base64 text; above it: 5.
    max_base64_chars: int = Field(2 * MEBIBYTE, ge=1)
    #: Pixels of either side, both inclusive; below: 2, above: 3.
    min_side_px: int = Field(48, ge=1)
    max_side_px: int = Field(2048, ge=1)
    #: A compared face whose blurScore is lower is refused with 11; 0 refuses none.
    min_blur_score: float = Field(0.0, ge=0, le=1)
    #: What isValidPosture says.
    posture_limits: PostureLimits = PostureLimits()
    #: Refuse a compared face beyond the limits with 12.
    refuse_invalid_posture: bool = False
    #: Seconds from the request's last byte to its answer; then 41.
    deadline_s: float = Field(10.0, gt=0)
    #: Answers end with a requestId, without which the vendor's jdcloud-sdk shows no result.
    request_id_in_body: bool = True
