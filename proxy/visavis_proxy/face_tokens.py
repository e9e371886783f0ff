"""face_token -> template: owned by one key, encrypted at rest, forgotten at expiry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from visavis_client.faces import Template


class FaceTokens(Protocol):
    """Issues and resolves tokens."""

    async def issue(self, owner: str, templates: Sequence[Template | None]) -> list[str]:
        """A new token of 32 hexadecimal digits for every entry, in order.

        A None (a face without a template) gets a token that resolves to nothing.
        """
        ...

    async def find(self, owner: str, token: str) -> Template | None:
        """The template, or None: unknown, expired, another key's, or made by another model."""
        ...
