"""face_token -> template: owned by one key, encrypted at rest, forgotten at expiry."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import struct
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from visavis_client.faces import ModelIdentity, Template
from visavis_proxy.sealing import SealBroken, Sealer, open_sealer
from visavis_proxy.settings import Settings
from visavis_proxy.state import StateStore, open_store

_TOKEN = re.compile(r"[0-9a-f]{32}")
#: Length of the model's name in bytes, norm; then the name and float32 (d,), all of it little-endian.
_HEAD = struct.Struct("<Hd")

_log = logging.getLogger(__name__)


class FaceTokens(Protocol):
    """Issues and resolves tokens."""

    async def issue(self, owner: str, templates: Sequence[Template | None]) -> list[str]:
        """A new token of 32 hexadecimal digits for every entry, in order.

        A None (a face without a template) gets a token that resolves to nothing.

        Raises:
            StateUnavailable: the store cannot be reached.
        """
        ...

    async def find(self, owner: str, token: str) -> Template | None:
        """The template, or None: unknown, expired, another key's, or made by another model.

        Raises:
            StateUnavailable: the store cannot be reached.
        """
        ...


class StoredFaceTokens:
    """Tokens in the state's store.

    The store learns neither owners nor tokens: a value lies under a digest of both. It is sealed for that digest,
    so that a value which somebody moves to another token's place does not open there.
    """

    def __init__(self, state: StateStore, sealer: Sealer, model: ModelIdentity, *, ttl_s: float) -> None:
        self._state = state
        self._sealer = sealer
        self._model = model
        self._ttl_s = ttl_s

    async def issue(self, owner: str, templates: Sequence[Template | None]) -> list[str]:
        """See FaceTokens."""
        tokens = [secrets.token_hex(16) for _ in templates]
        values: dict[str, bytes] = {}
        for token, template in zip(tokens, templates, strict=True):
            if template is not None:
                place = _place(owner, token)
                values[place] = self._sealer.seal(_packed(template), place.encode("ascii"))
        if values:
            await self._state.keep(values, self._ttl_s)
        return tokens

    async def find(self, owner: str, token: str) -> Template | None:
        """See FaceTokens."""
        if not _TOKEN.fullmatch(token):
            return None
        place = _place(owner, token)
        (sealed,) = await self._state.recall([place])
        if sealed is None:
            return None
        try:
            template = _unpacked(self._sealer.open(sealed, place.encode("ascii")))
        except SealBroken:
            _log.warning("a face token's template was sealed with a key that is no longer configured")
            return None
        return template if template.model == self._model else None


def open_face_tokens(settings: Settings, state: StateStore, model: ModelIdentity) -> FaceTokens:
    """Tokens kept in that store for templates of that model.

    Raises:
        SettingsInvalid: the encryption key is not usable.
    """
    return StoredFaceTokens(state, open_sealer(settings), model, ttl_s=settings.state.face_token_ttl_s)


async def purge_tokens(settings: Settings, *, expired_only: bool) -> int:
    """Delete templates from the store of the settings, all or the expired; how many went.

    Raises:
        SettingsInvalid: no store can be had by these settings.
        StateUnavailable: the store does not answer.
    """
    state = open_store(settings)
    try:
        return await state.purge(expired_only=expired_only)
    finally:
        await state.close()


async def check_state(settings: Settings) -> None:
    """Open what keeps state, as a worker will, and close it again.

    Raises:
        SettingsInvalid, StateUnavailable: a worker could not.
    """
    state = open_store(settings)
    try:
        open_sealer(settings)
    finally:
        await state.close()


def _place(owner: str, token: str) -> str:
    # A token has a fixed length, so that owner and token cannot run into one another.
    return hashlib.sha256(f"face_token {token} {owner}".encode("utf-8", "surrogatepass")).hexdigest()


def _packed(template: Template) -> bytes:
    name = template.model.encode()
    return _HEAD.pack(len(name), template.norm) + name + template.vector.astype("<f4").tobytes()


def _unpacked(packed: bytes) -> Template:
    length, norm = _HEAD.unpack_from(packed)
    begin = _HEAD.size + length
    vector = np.frombuffer(packed, "<f4", offset=begin).astype(np.float32)
    return Template(vector, ModelIdentity(packed[_HEAD.size : begin].decode()), norm)
