"""What an operator may set of this room; environment names begin with VISAVIS_JDCLOUD__."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class JdCloudSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/jdcloud.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")
