"""Names of what is kept."""

from __future__ import annotations

from hashlib import blake2b


def nonce_digest(space: str, nonce: str) -> bytes:
    """16 bytes for a nonce in its space: callers choose nonces, and may choose long and odd ones."""
    spaced = encode(space)
    return blake2b(len(spaced).to_bytes(4, "big") + spaced + encode(nonce), digest_size=16).digest()


def encode(name: str) -> bytes:
    """Bytes of any Python string, half surrogates included: JSON can carry them, UTF-8 proper cannot."""
    return name.encode("utf-8", "surrogatepass")
