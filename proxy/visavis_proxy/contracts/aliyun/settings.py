"""What an operator may set of this room; environment names begin with VISAVIS_ALIYUN__."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class AliyunSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/aliyun.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")
