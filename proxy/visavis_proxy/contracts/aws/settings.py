"""What an operator may set of this room; environment names begin with VISAVIS_AWS__."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class AwsSettings(BaseModel):
    """Defaults are the document's; a deviation is a line in docs/contracts/aws.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")
