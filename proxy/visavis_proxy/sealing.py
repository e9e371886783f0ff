"""Encryption of what is biometric, at rest: AES-256-GCM, with keys that can be replaced one by one."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from visavis_proxy.secret_files import SecretExposed, create_secret, read_secret
from visavis_proxy.settings import Settings, SettingsInvalid
from visavis_proxy.state.opening import shared_by_machines

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FILE_NAME = "templates.key"


class SealBroken(Exception):
    """None of the keys made this, or it was made for another place, or it was altered."""


class Sealer:
    """Seals bytes for one place: moved to another, they do not open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The first key seals, each may open; 32 bytes each."""
        self._ciphers = [AESGCM(key) for key in keys]

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Encrypt."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Decrypt.

        Raises:
            SealBroken: see there.
        """
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
            except (InvalidTag, ValueError):  # ValueError: too short to have been sealed
                continue
        raise SealBroken


def new_key() -> str:
    """A key as settings and the key file hold it: urlsafe base64 of 32 bytes."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def open_sealer(settings: Settings) -> Sealer:
    """A sealer with the keys of the settings, else with the key file's, which is made where there is none.

    Raises:
        SettingsInvalid: a key is none, the key file is open to others or cannot be had, or the store is shared
            with other machines, which could not open what a key of this one sealed.
    """
    given = settings.state.encryption_key
    if given is not None:
        return Sealer(_read_keys(given.get_secret_value(), "VISAVIS_STATE__ENCRYPTION_KEY"))
    if shared_by_machines(settings):
        raise SettingsInvalid(
            "machines that share a Redis must share a key: set VISAVIS_STATE__ENCRYPTION_KEY on each of them to "
            "what `visavis tokens new-key` prints"
        )
    path = settings.data_directory / _FILE_NAME
    try:
        return Sealer(_read_keys(_key_file(path), str(path)))
    except SecretExposed as error:
        raise SettingsInvalid(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"cannot keep an encryption key in {path}: {error}") from error


def _read_keys(text: str, origin: str) -> list[bytes]:
    try:
        keys = [base64.b64decode(part.strip(), altchars=b"-_", validate=True) for part in text.split(",")]
    except (binascii.Error, ValueError):
        keys = []
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise SettingsInvalid(f"{origin} must be urlsafe base64 of {_KEY_BYTES} bytes, or several with commas between")
    return keys


def _key_file(path: Path) -> str:
    create_secret(path, new_key() + "\n")  # where another worker was first, its key is as good as ours
    return read_secret(path)
