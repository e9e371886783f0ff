"""Who may call: keys from a TOML file that only its owner can read.

.. code-block:: toml

    [[key]]
    id = "…"            # api_key / AccessKeyId
    secret = "…"
    contracts = ["facepp", "aliyun", "jdcloud", "aws"]
    tier = "formal"     # Face++: trial | formal
    qps = 50
    daily_quota = 100000
    disabled = ""       # Face++'s reason: "Denied by Client", "Denied by Admin", …
"""

from __future__ import annotations

import hmac
import stat
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError


class Contract(StrEnum):
    """The four documents."""

    FACEPP = "facepp"
    ALIYUN = "aliyun"
    JDCLOUD = "jdcloud"
    AWS = "aws"


class CredentialsInvalid(Exception):
    """The credentials file cannot be used; its text says why and what to do, and never shows a secret."""


class Key(BaseModel):
    """One caller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=128)
    secret: SecretStr = Field(min_length=1)
    contracts: tuple[Contract, ...] = tuple(Contract)
    tier: Literal["trial", "formal"] = "formal"
    #: Requests per second, all contracts together; and requests per day (UTC+8 at JD Cloud).
    qps: float = Field(50, gt=0)
    daily_quota: int = Field(100_000, ge=0)
    #: Not empty: the key exists but may not call; the text is the reason.
    disabled: str = ""

    def secret_is(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.secret.get_secret_value().encode(), given.encode("utf-8", "surrogatepass"))

    def may_call(self, contract: Contract) -> bool:
        """Whether the key is for that contract."""
        return contract in self.contracts


class Credentials:
    """All keys, by id."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: dict[str, Key] = {}
        for key in keys:
            if key.id in self._keys:
                raise CredentialsInvalid(f"the key id {key.id!r} appears twice")
            self._keys[key.id] = key

    def find(self, key_id: str) -> Key | None:
        """The key of that id, or None."""
        return self._keys.get(key_id)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def load(cls, path: Path) -> Credentials:
        """Read a file that only its owner may read.

        Raises:
            CredentialsInvalid: it is missing, readable by others, or not as documented.
        """
        try:
            mode = path.stat().st_mode
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsInvalid(f"cannot read credentials from {path}: {error}") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CredentialsInvalid(f"{path} holds secrets and can be read by others: chmod 600 {path}")
        try:
            table = tomllib.loads(text)
            unknown = set(table) - {"key"}
            if unknown:
                raise CredentialsInvalid(f"{path}: unknown {', '.join(sorted(unknown))}; only [[key]] tables are read")
            return cls(Key.model_validate(entry) for entry in table.get("key", []))
        except tomllib.TOMLDecodeError as error:
            raise CredentialsInvalid(f"{path} is not TOML: {error}") from error
        except ValidationError as error:
            # Not the whole text: pydantic repeats the input, secrets included.
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise CredentialsInvalid(f"{path}: {faults}") from None
