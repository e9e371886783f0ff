"""What an operator may set of this room; environment names begin with VISAVIS_AWS__."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from visavis_proxy.setting_lists import split_list

#: First segments of other addresses of the service. A stage answers for everything below its name, so none of these
#: may be one.
RESERVED_SEGMENTS = frozenset({"facepp", "jdai", "health", "metrics"})


def _free(stage: str) -> str:
    if stage in RESERVED_SEGMENTS:
        raise ValueError(f"{stage!r} is an address of the service itself and cannot be a stage")
    return stage


#: A deployment stage, by API Gateway's own rule: letters, digits, hyphens and underscores.
Stage = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$"), AfterValidator(_free)]

#: The solution's stack parameter APIGatewayAuthorization.
Authorization = Literal["NONE", "AWS_IAM"]


class AwsSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/aws.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: The first path segment of a call; a call without a stage is answered too.
    stages: Annotated[tuple[Stage, ...], NoDecode, BeforeValidator(split_list)] = ("prod",)
    #: None: NONE, as documented, for requests of this machine to a service bound to loopback; AWS_IAM for all others.
    authorization: Authorization | None = None
    #: How far a signature's date may lie from our clock, either way.
    clock_skew_s: float = Field(300, ge=0)

    #: From the whole request to its answer, a fetched picture included: clients of the four contracts wait ten seconds.
    answer_within_s: float = Field(9.5, gt=0)
    #: The largest request that the gateway lets through.
    max_body_bytes: int = Field(10 * 1024 * 1024, gt=0)
    #: The largest picture that is fetched: a 24-bit bitmap of 4096 x 4096 pixels takes 48 MiB.
    max_picture_bytes: int = Field(50 * 1024 * 1024, gt=0)
    max_side_px: int = Field(4096, gt=0)

    #: Faces that the detector is less sure of are left out, as the solution's own detector leaves them out.
    min_confidence: float = Field(0.5, ge=0, le=1)
    #: Change it together with the models if callers keep face_hash: those of two models are not comparable.
    face_model_version: str = "1.2.0"
