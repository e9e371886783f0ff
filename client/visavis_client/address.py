"""Where a Triton is asked, and by which protocol."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_FORM = re.compile(r"(http://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class TritonAddress:
    """``host:port`` of its gRPC, or ``http://host:port``."""

    #: As it is connected to: an IPv6 address without its brackets.
    host: str
    port: int
    by_http: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError where it is neither; the sentence does not repeat it, for it may hold a password."""
        found = _FORM.fullmatch(text)
        if found is None or not 0 < int(found[3]) < 2**16:
            raise ValueError("an address is host:port, asked by gRPC, or http://host:port, such as 127.0.0.1:8001")
        return cls(found[2].strip("[]"), int(found[3]), found[1] is not None)

    @property
    def authority(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
