"""What an operator may set of this room; environment names begin with VISAVIS_ALIYUN__."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_MIB = 1024 * 1024


class AliyunSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/aliyun.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: "单个请求的Body有8M的大小限制".
    max_body_bytes: int = Field(8 * _MIB, ge=1)
    #: Path and query of a request together; keeps pictures out of GET. The HTTP server itself stops at 64 KiB.
    max_target_bytes: int = Field(32 * 1024, ge=1024)
    #: One picture behind a URL; the document's 2M are advice, its body limit is the only hard number.
    max_picture_bytes: int = Field(8 * _MIB, ge=1)
    #: Width times height of one picture.
    max_picture_pixels: int = Field(50_000_000, ge=1)
    #: How far a request's timestamp may lie from our clock, either way.
    clock_window_s: float = Field(15 * 60, gt=0)
    #: Refuse requests that did not come by TLS (InvalidProtocol.NeedSsl); needs a trusted proxy in front.
    require_tls: bool = False
    #: From the last byte of a request to our answer; the vendor's clients give up after ten seconds.
    answer_within_s: float = Field(9.0, gt=0)
