"""Who may call: keys from a TOML file that others can neither read nor change.

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
import tomllib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from visavis_proxy.secret_files import SecretExposed, read_secret


class Contract(StrEnum):
    """The four documents."""

    FACEPP = "facepp"
    ALIYUN = "aliyun"
    JDCLOUD = "jdcloud"
    AWS = "aws"


#: What an id may hold where a contract sends it in its Authorization header: visible ASCII without the comma, which
#: parts the header's fields. JD Cloud's reader ends it at the first slash; AWS's takes the scope's four from the end.
_IN_A_HEADER = frozenset(map(chr, range(0x21, 0x7F))) - {","}
_ID_CHARACTERS = {
    Contract.ALIYUN: _IN_A_HEADER,
    Contract.AWS: _IN_A_HEADER,
    Contract.JDCLOUD: _IN_A_HEADER - {"/"},
}


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

    @model_validator(mode="after")
    def _can_sign(self) -> Self:
        """Face++ alone takes its key from a form's field, where any character will do."""
        for character in self.id:
            refusing = [c for c in self.contracts if character not in _ID_CHARACTERS.get(c, self.id)]
            if refusing:
                raise ValueError(
                    f"the key id {self.id!r} has {character!r}, which has no place in the Authorization header "
                    f"of {', '.join(refusing)}"
                )
        return self

    def secret_is(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.secret.get_secret_value().encode(), given.encode("utf-8", "surrogatepass"))

    def may_call(self, contract: Contract) -> bool:
        """Whether the key is for that contract."""
        return contract in self.contracts


class Credentials:
    """All keys, by id."""

    def __init__(self, keys: Iterable[Key], *, path: Path | None = None) -> None:
        """``path``: the file that they were read from."""
        self._path = path
        self._keys: dict[str, Key] = {}
        for key in keys:
            if key.id in self._keys:
                raise CredentialsInvalid(f"the key id {key.id!r} appears twice")
            self._keys[key.id] = key

    def find(self, key_id: str) -> Key | None:
        """The key of that id, or None."""
        return self._keys.get(key_id)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def load(cls, path: Path) -> Credentials:
        """Read a file.

        Raises:
            CredentialsInvalid: it is missing, open to others (see read_secret), not as documented, or without a key.
        """
        try:
            text = read_secret(path)
        except SecretExposed as error:
            raise CredentialsInvalid(str(error)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsInvalid(f"cannot read credentials from {path}: {error}") from error
        keys = cls(_parsed(text, path), path=path)
        if not keys:
            raise CredentialsInvalid(f"{path} names no key: nobody could call")
        return keys

    def reload(self) -> None:
        """Take the keys that the file holds by now, all at once; who was let in with an old one is answered.

        Raises:
            CredentialsInvalid: see load; then the keys stay as they were.
        """
        if self._path is not None:
            self._keys = Credentials.load(self._path)._keys


def _parsed(text: str, path: Path) -> list[Key]:
    try:
        table = tomllib.loads(text)
        unknown = set(table) - {"key"}
        if unknown:
            raise CredentialsInvalid(f"{path}: unknown {', '.join(sorted(unknown))}; only [[key]] tables are read")
        entries = table.get("key", [])
        if not isinstance(entries, list):
            raise CredentialsInvalid(f"{path}: a key is a table of its own, which begins with [[key]]")
        return [Key.model_validate(entry) for entry in entries]
    except tomllib.TOMLDecodeError as error:
        raise CredentialsInvalid(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        # Not the whole text: pydantic repeats the input, secrets included.
        faults = "; ".join(_fault(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors())
        raise CredentialsInvalid(f"{path}: {faults}") from None


def _fault(field: str, words: str) -> str:
    """A fault of a whole key, which is no field's, is our own sentence."""
    return f"{field}: {words}" if field else words.removeprefix("Value error, ")
